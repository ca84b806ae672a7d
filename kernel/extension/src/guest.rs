//! What a guest changes in the process of its host, and changes back.

use std::os::fd::RawFd;
use std::path::PathBuf;

use parking_lot::Mutex;

use diaphane::crash::of_guest;
use diaphane::guest_socket::{self, GuestSocket};
use diaphane::install::runtime_dir;
use diaphane::interposed;
use pyo3::exceptions::PyOSError;
use pyo3::ffi::Py_IsInitialized;
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

/// Faults of the host are told, until that is ended.
#[pyclass(frozen)]
pub(crate) struct ToldFaults;

/// Begins to tell of faults, on a descriptor that is kept for ever. Reports lie beside the connection file, where there is
/// one. `only_told` are the signals whose handler, where it is Python's, does no more than tell.
#[pyfunction]
pub(crate) fn tell_of_faults(
    py: Python<'_>,
    connection_file: Option<PathBuf>,
    errors: RawFd,
    only_told: Vec<i32>,
) -> PyResult<ToldFaults> {
    let python: PathBuf = py.import("sys")?.getattr("executable")?.extract()?;
    let command = super::own_command(py, &python)?;
    let connection_file = connection_file.or_else(|| Some(runtime_dir()?.join("terminal")));
    let nowhere = || PyOSError::new_err("there is no folder for reports: HOME is not set");
    let connection_file = connection_file.ok_or_else(nowhere)?;
    if let Some(folder) = connection_file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let interpreter = Py_IsInitialized as *const () as usize;
    of_guest::begin(&connection_file, command, errors, &only_told, interpreter)?;
    Ok(ToldFaults)
}

#[pymethods]
impl ToldFaults {
    /// A cell begins.
    #[allow(clippy::unused_self, reason = "a method in Python")]
    fn begin_cell(&self, number: u32, code: &str) {
        of_guest::begin_cell(number, code);
    }

    /// It has ended.
    #[allow(clippy::unused_self, reason = "a method in Python")]
    fn end_cell(&self) {
        of_guest::end_cell();
    }

    /// Gives the signals back.
    #[allow(clippy::unused_self, reason = "a method in Python")]
    fn undo(&self) {
        of_guest::end();
    }
}
