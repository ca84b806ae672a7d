//! In place of a recording where the system does not dispatch system calls: what Python itself announces before it asks
//! for files, processes and sockets, by its audit events.

use std::ffi::CStr;
use std::sync::atomic::{AtomicBool, Ordering};

use diaphane_forks::{ProcessLock, ProcessLockGuard};
use pyo3::prelude::*;

/// More events than these are only counted.
const MOST: usize = 100_000;
/// The events that stand for system calls begin so.
const PREFIXES: [&str; 6] = ["open", "os.", "subprocess.", "socket.", "mmap.", "shutil."];

/// An event: its name and its first argument, if that is text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Announced {
    pub event: String,
    pub what: Option<String>,
}

static IS_ON: AtomicBool = AtomicBool::new(false);
static EVENTS: ProcessLock<Vec<Announced>> = ProcessLock::new(Vec::new);

/// Begins.
pub(crate) fn begin() {
    lock().clear();
    IS_ON.store(true, Ordering::Relaxed);
}

/// Ends.
pub(crate) fn end() -> Vec<Announced> {
    IS_ON.store(false, Ordering::Relaxed);
    std::mem::take(&mut *lock())
}

/// Whether an event is to be heard.
pub(crate) fn wants(event: &CStr) -> bool {
    IS_ON.load(Ordering::Relaxed)
        && event
            .to_str()
            .is_ok_and(|event| PREFIXES.iter().any(|prefix| event.starts_with(prefix)))
}

/// Hears one.
pub(crate) fn note(event: &CStr, args: Option<&Bound<'_, PyAny>>) {
    let first = args.and_then(|args| args.get_item(0).ok());
    let what = first.and_then(|first| first.extract::<String>().ok());
    let event = event.to_string_lossy().into_owned();
    let mut events = lock();
    if events.len() < MOST {
        events.push(Announced { event, what });
    }
}

fn lock() -> ProcessLockGuard<'static, Vec<Announced>> {
    EVENTS.lock()
}
