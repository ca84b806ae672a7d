//! The Python threads beside the main one: a subshell has one (JEP 91), and the debugger has one.
//!
//! Each serves a lane. It waits for Python and for the GIL by itself; who starts it does not.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::prelude::*;

use crate::kernel::Kernel;

/// Filled when Python is there.
static READY: OnceLock<()> = OnceLock::new();

/// Python is there: the threads that wait for it begin.
pub(super) fn begin() {
    READY.get_or_init(|| ());
}

/// Starts a subshell.
///
/// # Errors
/// When no thread can be started.
pub fn start_subshell(kernel: &Kernel, id: &str) -> std::io::Result<()> {
    kernel.lanes.add(id)?;
    let owned = id.to_owned();
    start("diaphane-subsh", move |main| {
        main.call_method1("subshell", (owned,))
    })
    .inspect_err(|_| {
        kernel.lanes.remove(id);
    })
}

/// Starts the debugger, unless it was started before.
///
/// # Errors
/// When no thread can be started.
pub fn start_debugger() -> std::io::Result<()> {
    static STARTED: AtomicBool = AtomicBool::new(false);
    if STARTED.swap(true, Ordering::AcqRel) {
        return Ok(());
    }
    start("diaphane-debug", |main| main.call_method0("debugger"))
        .inspect_err(|_| STARTED.store(false, Ordering::Release))
}

/// Starts a thread that runs a function of `diaphane.main`.
fn start<F>(name: &str, run: F) -> std::io::Result<()>
where
    F: for<'py> FnOnce(&Bound<'py, PyModule>) -> PyResult<Bound<'py, PyAny>> + Send + 'static,
{
    let life = move || {
        READY.wait();
        Python::attach(|py| {
            let ended = py.import("diaphane.main").and_then(|main| run(&main));
            if let Err(error) = ended {
                tracing::error!(error = super::describe(py, &error), "a thread ended");
            }
        });
    };
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(life)
        .map(drop)
}
