//! Python's own names of its threads.

use std::collections::HashMap;

use pyo3::prelude::*;
use pyo3::types::PyString;

use diaphane_cpython::modules::imported;

/// The names that Python gave to its threads, by the kernel's numbers. Python is not asked to import anything.
pub(crate) fn thread_names(py: Python<'_>) -> PyResult<HashMap<i32, String>> {
    let Some(threading) = imported(py, "threading")? else {
        return Ok(HashMap::new());
    };
    let mut names = HashMap::new();
    for thread in threading.call_method0("enumerate")?.try_iter()? {
        let thread = thread?;
        // A thread that was made but not started has no number yet; a subclass may answer anything.
        let tid = thread.getattr("native_id").and_then(|tid| tid.extract());
        let name = thread
            .getattr("name")
            .and_then(|name| Ok(name.cast_into::<PyString>()?.to_string_lossy().into()));
        if let (Ok(tid), Ok(name)) = (tid, name) {
            names.insert(tid, name);
        }
    }
    Ok(names)
}
