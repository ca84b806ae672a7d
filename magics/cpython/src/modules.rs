//! Modules that are there already. None is imported for a question, since that would change the answer.

use pyo3::prelude::*;
use pyo3::types::PyDict;

/// A module that Python has imported already. None is ever imported for a question, since that would change the answer.
pub fn imported<'py>(py: Python<'py>, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
    let modules = py
        .import("sys")?
        .getattr("modules")?
        .cast_into::<PyDict>()?;
    Ok(modules.get_item(name)?.filter(|module| !module.is_none()))
}
