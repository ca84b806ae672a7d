//! The Python part of the kernel: its sources are inside the binary, and an import hook finds them there.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

/// The modules of the package `diaphane`, and their sources.
const MODULES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/modules.rs"));

/// Their code, compiled by the Python that the binary was built for.
const COMPILED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/modules.bin"));

/// Installs the import hook.
pub(crate) fn install(py: Python<'_>) -> PyResult<()> {
    let sources = PyDict::new(py);
    for (name, source) in MODULES {
        sources.set_item(name, source)?;
    }
    let finder = include_str!("../../python/finder.py");
    let finder = std::ffi::CString::new(finder)?;
    PyModule::from_code(py, &finder, c"<diaphane>/finder.py", c"_diaphane_finder")?
        .call_method1("install", (sources, PyBytes::new(py, COMPILED)))?;
    Ok(())
}
