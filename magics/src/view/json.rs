//! The envelope around the rows of a report. The order of its fields is fixed, so that two reports can be compared.

use std::sync::{LazyLock, OnceLock};

use diaphane_sight::host::Host;
use serde_json::{Map, Value, json};

use crate::report::Report;

/// The version of this form.
const SCHEMA: u32 = 1;

static HOST: LazyLock<Host> = LazyLock::new(Host::read);
static PYTHON: OnceLock<String> = OnceLock::new();

/// Says which Python this is; it is asked for once, since the GIL may be elsewhere later.
pub(crate) fn set_python(major: u8, minor: u8, patch: u8) {
    PYTHON.get_or_init(|| format!("{major}.{minor}.{patch}"));
}

/// The whole report.
pub(crate) fn envelope(report: &Report) -> Value {
    let host = &*HOST;
    let mut envelope = Map::new();
    envelope.insert("schema_version".into(), json!(SCHEMA));
    envelope.insert("name".into(), json!(report.name));
    let host = json!({"kernel": host.kernel, "glibc": host.glibc, "python": PYTHON.get(), "cpu": host.cpu});
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
