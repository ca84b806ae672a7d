//! IPython's shell, where there is one: the user's variables, and the cells behind file names.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

use diaphane_cpython::modules::imported;

/// The variables of the user, for questions that come without them.
static NAMESPACE: PyOnceLock<Py<PyDict>> = PyOnceLock::new();

/// Says which variables are the user's, for questions that no cell asks.
pub(crate) fn keep_namespace(namespace: &Bound<'_, PyDict>) {
    NAMESPACE.get_or_init(namespace.py(), || namespace.clone().unbind());
}

/// The variables of the user; those of `__main__` where nobody said.
pub(crate) fn namespace(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    match NAMESPACE.get(py) {
        Some(namespace) => Ok(namespace.bind(py).clone()),
        None => Ok(py.import("__main__")?.dict()),
    }
}

/// A place in the user's code as `In[3]:2` or `file.py:2`, and whether it is in a cell.
pub(crate) fn source_line(py: Python<'_>, file: &str, line: u32) -> PyResult<(String, bool)> {
    Ok(match cell_of(py, file)? {
        Some(number) => (format!("In[{number}]:{line}"), true),
        None => (format!("{file}:{line}"), false),
    })
}

/// The number of the cell whose code has this file name, if IPython runs cells here.
pub(crate) fn cell_of(py: Python<'_>, file: &str) -> PyResult<Option<u32>> {
    let Some(shell) = shell(py)? else {
        return Ok(None);
    };
    let names = shell.getattr("compile")?.getattr("_filename_map")?;
    names.call_method1("get", (file,))?.extract()
}

/// IPython's shell, where there is one.
pub(crate) fn shell(py: Python<'_>) -> PyResult<Option<Bound<'_, PyAny>>> {
    let Some(ipython) = imported(py, "IPython")? else {
        return Ok(None);
    };
    let shell = ipython.call_method0("get_ipython")?;
    Ok(Some(shell).filter(|shell| !shell.is_none()))
}
