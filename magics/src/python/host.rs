//! The machine and the Python of a report, as its JSON names them.

use diaphane_sight::proc::host::Host;
use serde_json::{Value, json};

/// The machine, and a Python on it.
pub(crate) fn described(python: Option<&str>) -> Value {
    let host = Host::read();
    json!({"kernel": host.kernel, "glibc": host.glibc, "python": python, "cpu": host.cpu})
}
