//! `--stop`: an error in the cell at the first write.
//!
//! The write is seen in a signal handler, which may ask CPython for one thing only: to call the Python handler of a signal
//! before the next instruction. So SIGTRAP has one meanwhile, which raises.

use diaphane_cpython::interpreter::note_signal;
use diaphane_trace::watchpoints::keep_handler;
use pyo3::create_exception;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict, PyTuple};

use crate::error::Error;

create_exception!(
    diaphane,
    BufferWritten,
    PyRuntimeError,
    "A watched element of a buffer was written."
);

/// The handler, until it ends.
pub(super) struct StopAtFirst {
    before: Py<PyAny>,
}

impl StopAtFirst {
    pub fn begin(py: Python<'_>, names: &str) -> Result<Self, Error> {
        let signal = py.import("signal")?;
        let message = format!("{names} was written; %%watch_buffer --stop ended the cell");
        let raise = move |_: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| -> PyResult<()> {
            Err(BufferWritten::new_err(message.clone()))
        };
        let handler = PyCFunction::new_closure(py, None, None, raise)?;
        let before = signal
            .call_method1("signal", (libc::SIGTRAP, handler))
            .map_err(|error| match error.is_instance_of::<PyValueError>(py) {
                true => Error::Usage(
                    "%%watch_buffer: --stop works in the main thread, which alone has handlers in Python; without it the \
                     writes are shown here too"
                        .into(),
                ),
                false => Error::from(error),
            })?;
        Ok(Self {
            before: before.unbind(),
        })
    }

    /// Puts back what was there before.
    pub fn end(self, py: Python<'_>) -> Result<(), Error> {
        // A write of the last instruction is told by the report only.
        let late = py.check_signals();
        self.restore(py)?;
        match late {
            Err(error) if !error.is_instance_of::<BufferWritten>(py) => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn restore(&self, py: Python<'_>) -> PyResult<()> {
        let signal = py.import("signal")?;
        let before = match self.before.is_none(py) {
            // It was not set from Python.
            true => signal.getattr("SIG_DFL")?,
            false => self.before.bind(py).clone(),
        };
        signal.call_method1("signal", (libc::SIGTRAP, before))?;
        keep_handler()?;
        Ok(())
    }
}

/// Has CPython call the handler soon. It is safe in a signal handler.
pub(super) fn interrupt() {
    note_signal(libc::SIGTRAP);
}
