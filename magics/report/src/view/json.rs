//! The envelope around the rows of a report. The order of its fields is fixed, so that two reports can be compared.

use diaphane_forks::ForkOnce;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::report::Report;

/// The version of this form.
pub const SCHEMA: u32 = 1;

static HOST: ForkOnce<Value> = ForkOnce::new();

/// Says where reports are made: the machine and its Python. It is asked for once, since the GIL may be elsewhere later.
pub fn set_host(host: Value) {
    HOST.get_or_init(|| host);
}

/// The whole report, to be written.
pub struct Envelope<'a>(pub &'a Report);

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

/// The machine and the Python of this process, null where nobody said.
fn here() -> Value {
    HOST.get().cloned().unwrap_or_default()
}

/// The diagnoses alone.
pub fn diagnoses(report: &Report) -> Value {
    json!(report.diagnoses)
}
