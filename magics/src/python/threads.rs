//! Python's own names of its threads.

use std::collections::HashMap;
use std::hash::Hash;

use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString};

use diaphane_cpython::modules::imported;

/// The names that Python gave to its threads, by the kernel's numbers. Python is not asked to import anything.
pub(crate) fn thread_names(py: Python<'_>) -> PyResult<HashMap<i32, String>> {
    named_by(py, "native_id")
}

/// The same by Python's own numbers.
pub(crate) fn threads_by_identity(py: Python<'_>) -> PyResult<HashMap<u64, String>> {
    named_by(py, "ident")
}

fn named_by<K>(py: Python<'_>, number: &str) -> PyResult<HashMap<K, String>>
where
    K: Eq + Hash + for<'a, 'py> FromPyObject<'a, 'py>,
{
    let Some(threading) = imported(py, "threading")? else {
        return Ok(HashMap::new());
    };
    let mut names = HashMap::new();
    let listed = threading.call_method0("enumerate");
    let threads = match listed.and_then(|listed| listed.cast_into::<PyList>().map_err(PyErr::from))
    {
        // Where somebody has replaced what it needs, Linux's names are left.
        Err(error) if error.is_instance_of::<PyException>(py) => return Ok(names),
        listed => listed?,
    };
    for thread in threads {
        // A thread that was made but not started has no number yet; a subclass may answer anything.
        let key = thread
            .getattr(number)
            .ok()
            .and_then(|key| key.extract::<K>().ok());
        let name = thread
            .getattr("name")
            .and_then(|name| Ok(name.cast_into::<PyString>()?.to_string_lossy().into()));
        if let (Some(key), Ok(name)) = (key, name) {
            names.insert(key, name);
        }
    }
    Ok(names)
}
