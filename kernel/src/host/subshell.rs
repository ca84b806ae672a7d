//! Subshells (JEP 91): Python threads with a lane of their own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::prelude::*;

use crate::kernel::Kernel;

static ALLOWED: AtomicBool = AtomicBool::new(false);

/// Python is there: subshells can be started.
pub(super) fn allow() {
    ALLOWED.store(true, Ordering::Release);
}

/// Starts a subshell. Its thread waits for the GIL by itself; the caller does not.
///
/// # Errors
/// When Python is not there yet, or no thread can be started.
pub fn spawn(kernel: &Arc<Kernel>, id: &str) -> std::io::Result<()> {
    if !ALLOWED.load(Ordering::Acquire) {
        return Err(std::io::Error::other(
            "Python is still starting, ask again in a moment",
        ));
    }
    kernel.lanes.add(id)?;
    let owned = id.to_owned();
    let spawned = std::thread::Builder::new()
        .name("diaphane-subsh".into())
        .spawn(move || run(&owned));
    if spawned.is_err() {
        kernel.lanes.remove(id);
    }
    spawned.map(|_| ())
}

fn run(id: &str) {
    Python::attach(|py| {
        let ended = py
            .import("diaphane.main")
            .and_then(|main| main.call_method1("subshell", (id,)));
        if let Err(error) = ended {
            tracing::error!(error = super::describe(py, &error), "a subshell ended");
        }
    });
}
