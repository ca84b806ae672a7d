//! What a guest changes in the process of its host, and changes back.

use std::path::PathBuf;

use parking_lot::Mutex;

use diaphane::guest_socket::{self, GuestSocket};
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

/// The socket by which `diaphane ask` of the same user reaches this process, until it is closed.
#[pyclass(frozen)]
pub(crate) struct Listening(Mutex<Option<GuestSocket>>, PathBuf);

/// Begins to listen.
#[pyfunction]
pub(crate) fn open_socket(py: Python<'_>) -> PyResult<Listening> {
    let socket = py.detach(GuestSocket::listen)?;
    let path = socket.path().to_owned();
    Ok(Listening(Mutex::new(Some(socket)), path))
}

/// The processes in which a guest of this user listens.
#[pyfunction]
pub(crate) fn listening(py: Python<'_>) -> Vec<i32> {
    py.detach(guest_socket::listening)
}

#[pymethods]
impl Listening {
    /// Where the socket is.
    #[getter]
    fn path(&self) -> PathBuf {
        self.1.clone()
    }

    /// Whether this process listens, and not the one that it was forked from.
    fn is_own(&self) -> bool {
        self.0.lock().as_ref().is_some_and(GuestSocket::is_own)
    }

    /// Stops listening; once.
    fn close(&self, py: Python<'_>) {
        py.detach(|| drop(self.0.lock().take()));
    }
}
