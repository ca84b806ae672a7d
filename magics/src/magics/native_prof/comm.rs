//! What Linux calls threads.

use diaphane_sight::proc::tasks;

/// What Linux calls a thread.
pub(super) fn comm(tid: i32) -> String {
    tasks::name(tid).unwrap_or_else(|| "?".to_owned())
}

/// What it calls the main thread, and so every thread that nobody gave another name.
pub(super) fn comm_of_process() -> Option<String> {
    tasks::name(i32::try_from(std::process::id()).ok()?)
}
