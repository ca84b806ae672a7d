//! The Python host: starts CPython on the main thread, gives it the kernel, and lets it run until the end.
//!
//! `pyo3` is used here and in the magics only.

pub mod asks;
mod config;
mod embedded;
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

/// How Python is started.
pub struct Options<'a> {
    /// The Python whose packages and names are used: a venv's `bin/python`, or any other.
    pub python: &'a Path,
    /// The connection file, for `sys.argv` and `%connect_info`.
    pub connection_file: &'a Path,
    /// The descriptor of the standard error that the kernel was started with.
    pub stderr: i32,
    /// Options for IPython (`--profile`, `--IPCompleter.use_jedi=False`...).
    pub arguments: &'a [String],
}

/// The version of the Python library in this process, as `3.11.7`.
pub fn python_version() -> String {
    config::version()
        .split_whitespace()
        .next()
        .unwrap_or_default()
        .to_owned()
}

/// Runs Python on the calling thread until the kernel is asked to end. The exit code that it asks for.
///
/// # Errors
/// When Python or IPython cannot be started.
pub fn run(kernel: &Arc<Kernel>, options: &Options<'_>) -> anyhow::Result<i32> {
    config::initialize(options.python, options.connection_file)?;
    let result =
        Python::attach(|py| serve(py, kernel, options).map_err(|error| why_it_ends(py, &error)));
    // The interpreter is not finalised: threads of libraries may still use it, and the process ends anyway.
    result
        .map_err(anyhow::Error::msg)
        .context(if threads::is_ready() {
            "Python ended by an error"
        } else {
            "Python could not be started"
        })
}

fn serve(py: Python<'_>, kernel: &Arc<Kernel>, options: &Options<'_>) -> PyResult<i32> {
    embedded::install(py)?;
    // By it `%process_tree` knows again what has left this process's session.
    py.import("os")?
        .getattr("environ")?
        .set_item(processes::MARK, processes::mark())?;
    let native = Bound::new(py, native::Native::new(py, Arc::clone(kernel), options)?)?;
    native.get().keep_interrupts(py)?;
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
pub(crate) fn describe(py: Python<'_>, error: &PyErr) -> String {
    if error.is_instance_of::<PySystemExit>(py) {
        return error.value(py).to_string();
    }
    let traceback = error
        .traceback(py)
        .and_then(|traceback| traceback.format().ok())
        .unwrap_or_default();
    format!("{traceback}{error}")
}
