//! The first door: this program holds CPython, and starts it for the Python whose packages are used.

mod config;
mod modules;

use std::path::Path;
use std::sync::Arc;

use diaphane::host;
use diaphane::kernel::Kernel;
use pyo3::prelude::*;

/// The version of the Python library in this process, as `3.11.7`.
pub(crate) fn python_version() -> String {
    let version = config::version();
    let number = version.split_whitespace().next().unwrap_or_default();
    number.to_owned()
}

/// Starts Python, and runs the kernel in it until it is asked to end. The exit code that it asks for.
pub(crate) fn run(
    python: &Path,
    kernel: &Arc<Kernel>,
    options: &host::Options<'_>,
) -> anyhow::Result<i32> {
    config::initialize(python, options.connection_file)?;
    // The interpreter is not finalised: threads of libraries may still use it, and the process ends anyway.
    Python::attach(|py| {
        modules::install(py).map_err(|error| anyhow::Error::msg(host::describe(py, &error)))?;
        host::serve(py, kernel, options)
    })
}

/// The built-in module.
#[pymodule]
mod _diaphane {
    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        diaphane::host::fill(module)
    }
}
