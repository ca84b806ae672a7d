//! The question of a live view, which comes every second and is answered in silence.

use serde::Deserialize;

/// The type of the request that is answered in silence.
pub(crate) const REQUEST: &str = "monitor_request";

/// Whether a request of this type gets its reply and nothing else, neither busy nor idle. Who watches a kernel asks every
/// second: front ends take the status of any request for the kernel's own, and servers take it for a sign of use.
#[must_use]
pub fn is_silent(msg_type: &str) -> bool {
    msg_type == REQUEST
}

/// `monitor_request`: what the process does at this moment. This kernel's own addition to the protocol.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct MonitorRequest {
    /// The epoch of the names that the front end has already.
    pub epoch: Option<u64>,
    /// With the functions that the main thread runs.
    #[serde(default)]
    pub stack: bool,
    /// With a sentence that says what the main thread does.
    #[serde(default)]
    pub why: bool,
}
