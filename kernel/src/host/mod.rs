//! The Python host: gives CPython the kernel, on the main thread, and lets it run until the end.
//!
//! `pyo3` is used here and in the magics only.

mod live_display;
mod live_view;
pub mod magic_requests;
pub mod monitor_requests;
mod native;
mod parent;
mod runner;
mod stream;
mod thread_state;
pub mod threads;

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use pyo3::exceptions::{PyMemoryError, PyOSError, PySystemExit};
use pyo3::prelude::*;

use crate::kernel::Kernel;
use diaphane_sight::proc::processes;

/// What the Python half is told.
pub struct Options<'a> {
    /// The connection file, for `sys.argv` and `%connect_info`.
    pub connection_file: &'a Path,
    /// The descriptor of the standard error that the kernel was started with.
    pub stderr: i32,
    /// Where the command `diaphane` lies.
    pub command_folder: &'a Path,
    /// Options for IPython (`--profile`, `--IPCompleter.use_jedi=False`...).
    pub arguments: &'a [String],
}

/// Fills the module `_diaphane`, which every door gives to Python.
///
/// # Errors
/// When Python has no memory left.
pub fn fill(module: &Bound<'_, PyModule>) -> PyResult<()> {
    native::fill(module)
}

/// Runs the Python half on the calling thread until the kernel is asked to end. The exit code that it asks for.
///
/// # Errors
/// When IPython cannot be started, or an error ends Python.
pub fn serve(py: Python<'_>, kernel: &Arc<Kernel>, options: &Options<'_>) -> anyhow::Result<i32> {
    let served = run_main(py, kernel, options);
    let told = served.map_err(|error| anyhow::Error::msg(why_it_ends(py, &error)));
    told.context(if threads::is_ready() {
        "Python ended by an error"
    } else {
        "Python could not be started"
    })
}

fn run_main(py: Python<'_>, kernel: &Arc<Kernel>, options: &Options<'_>) -> PyResult<i32> {
    // By it `%process_tree` knows again what has left this process's session.
    py.import("os")?
        .getattr("environ")?
        .set_item(processes::MARK, processes::mark())?;
    let native = Bound::new(py, native::Native::new(py, Arc::clone(kernel), options)?)?;
    native.get().keep_interrupts(py)?;
    diaphane_magics::note_imports(py);
    live_display::offer(kernel);
    py.import("diaphane.main")?
        .call_method1("main", (native, options.arguments.to_vec()))?
        .extract()
}

/// Why the process ends; before the first cell it is mostly a file, a folder or memory that the system refuses, which no
/// traceback makes clearer.
fn why_it_ends(py: Python<'_>, error: &PyErr) -> String {
    if !threads::is_ready() && error.is_instance_of::<PyOSError>(py) {
        return error.value(py).to_string();
    }
    if error.is_instance_of::<PyMemoryError>(py) {
        return "no memory is left for it here; raise the limit (ulimit -v, or the container's)"
            .to_owned();
    }
    describe(py, error)
}

/// An exception as Python prints it; `SystemExit` is a sentence by itself.
pub fn describe(py: Python<'_>, error: &PyErr) -> String {
    if error.is_instance_of::<PySystemExit>(py) {
        return error.value(py).to_string();
    }
    let traceback = error
        .traceback(py)
        .and_then(|traceback| traceback.format().ok())
        .unwrap_or_default();
    format!("{traceback}{error}")
}
