//! What a guest changes in the process of its host, and changes back.

use parking_lot::Mutex;

use diaphane::interposed;
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;

/// Functions of ours that stand in for the C library's until that is undone.
#[pyclass(frozen)]
pub(crate) struct StandIns(Mutex<Option<interposed::Interposed>>);

/// Begins to stand in for the functions of the C library that recordings need.
#[pyfunction]
pub(crate) fn stand_in() -> PyResult<StandIns> {
    let interposed = interposed::begin_as_guest();
    let interposed = interposed.map_err(|error| PyOSError::new_err(error.to_string()))?;
    Ok(StandIns(Mutex::new(Some(interposed))))
}

#[pymethods]
impl StandIns {
    /// Gives the names back to the C library; once.
    fn undo(&self) -> PyResult<()> {
        let interposed = self.0.lock().take();
        let undone = interposed.map_or(Ok(()), interposed::Interposed::undo);
        undone.map_err(|error| PyOSError::new_err(error.to_string()))
    }
}
