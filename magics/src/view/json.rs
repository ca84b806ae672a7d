//! The envelope around the rows of a report. The order of its fields is fixed, so that two reports can be compared.

use std::sync::{LazyLock, OnceLock};

use diaphane_sight::host::Host;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::report::Report;

/// The version of this form.
pub(crate) const SCHEMA: u32 = 1;

static HOST: LazyLock<Host> = LazyLock::new(Host::read);
static PYTHON: OnceLock<String> = OnceLock::new();

/// Says which Python this is; it is asked for once, since the GIL may be elsewhere later.
pub(crate) fn set_python(major: u8, minor: u8, patch: u8) {
    PYTHON.get_or_init(|| format!("{major}.{minor}.{patch}"));
}

/// The whole report, to be written.
pub(crate) struct Envelope<'a>(pub &'a Report);

impl Serialize for Envelope<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let report = self.0;
        let host = report.host.clone().unwrap_or_else(here);
        let took = u64::try_from(report.took.as_nanos()).ok();
        let mut envelope = serializer.serialize_map(None)?;
        envelope.serialize_entry("schema_version", &SCHEMA)?;
        envelope.serialize_entry("name", report.name)?;
        envelope.serialize_entry("host", &host)?;
        envelope.serialize_entry("took_ns", &took)?;
        for (key, value) in &report.facts {
            envelope.serialize_entry(key, value)?;
        }
        envelope.serialize_entry("rows", &report.rows)?;
        envelope.serialize_entry("diagnoses", &report.diagnoses)?;
        envelope.serialize_entry("limits", &report.limits)?;
        envelope.end()
    }
}

/// The machine and the Python of this process.
fn here() -> Value {
    host(PYTHON.get().map(String::as_str))
}

/// The machine and a Python on it.
pub(crate) fn host(python: Option<&str>) -> Value {
    let host = &*HOST;
    json!({"kernel": host.kernel, "glibc": host.glibc, "python": python, "cpu": host.cpu})
}

/// The diagnoses alone.
pub(crate) fn diagnoses(report: &Report) -> Value {
    json!(report.diagnoses)
}
