//! The envelope around the rows of a report. The order of its fields is fixed, so that two reports can be compared.

use std::sync::LazyLock;

use diaphane_sight::host::Host;
use pyo3::PythonVersionInfo;
use serde_json::{Map, Value, json};

use crate::report::Report;

/// The version of this form.
const SCHEMA: u32 = 1;

static HOST: LazyLock<Host> = LazyLock::new(Host::read);

/// The whole report.
pub(crate) fn envelope(report: &Report, python: PythonVersionInfo) -> Value {
    let host = &*HOST;
    let version = format!("{}.{}.{}", python.major, python.minor, python.patch);
    let mut envelope = Map::new();
    envelope.insert("schema_version".into(), json!(SCHEMA));
    envelope.insert("name".into(), json!(report.name));
    let host =
        json!({"kernel": host.kernel, "glibc": host.glibc, "python": version, "cpu": host.cpu});
    envelope.insert("host".into(), host);
    envelope.insert(
        "took_ns".into(),
        json!(u64::try_from(report.took.as_nanos()).ok()),
    );
    envelope.extend(report.facts.clone());
    envelope.insert(
        "rows".into(),
        report.rows.iter().cloned().map(Value::Object).collect(),
    );
    envelope.insert("diagnoses".into(), diagnoses(report));
    envelope.insert("limits".into(), json!(report.limits));
    Value::Object(envelope)
}

/// The diagnoses alone.
pub(crate) fn diagnoses(report: &Report) -> Value {
    json!(report.diagnoses)
}
