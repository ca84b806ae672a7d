//! `--stop`: an error in the cell at the first write.
//!
//! The write is seen in a signal handler, which may ask CPython for one thing only: to call the Python handler of a signal
//! before the next instruction that looks for signals. So SIGTRAP has one meanwhile, which raises.

use std::sync::Arc;

use diaphane_cpython::interpreter::note_signal;
use diaphane_trace::watchpoints::{first_hit, keep_handler};
use pyo3::create_exception;
use pyo3::exceptions::{PyBaseException, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict, PyTuple};

use super::element::Element;
use crate::error::Error;

create_exception!(
    diaphane,
    BufferWritten,
    PyBaseException,
    "A watched element of a buffer was written. Like an interrupt it is no Exception, so that it ends the cell."
);

/// The handler, until it ends or is dropped: also a watch that is refused leaves nothing behind.
pub(super) struct StopAtFirst {
    before: Py<PyAny>,
    is_on: bool,
}

impl StopAtFirst {
    pub fn begin(py: Python<'_>, elements: Arc<Vec<Element>>) -> Result<Self, Error> {
        let signal = py.import("signal")?;
        let raise =
            move |arguments: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| -> PyResult<()> {
                Err(BufferWritten::new_err(words(&elements, arguments.py())))
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
            is_on: true,
        })
    }

    /// Puts back what was there before.
    pub fn end(mut self, py: Python<'_>) -> Result<(), Error> {
        // A write of the last instruction is told by the report only.
        let late = py.check_signals();
        self.restore(py)?;
        match late {
            Err(error) if !error.is_instance_of::<BufferWritten>(py) => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn restore(&mut self, py: Python<'_>) -> PyResult<()> {
        self.is_on = false;
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

impl Drop for StopAtFirst {
    fn drop(&mut self) {
        if self.is_on {
            Python::attach(|py| {
                if let Err(error) = self.restore(py) {
                    error.write_unraisable(py, None);
                }
            });
        }
    }
}

/// What was written, and from where.
fn words(elements: &[Element], py: Python<'_>) -> String {
    let hit = first_hit();
    let Some(element) = elements.get(hit.spot) else {
        return "a watched element was written".to_owned();
    };
    let by = match hit.tid == nix::unistd::gettid().as_raw() {
        true => String::new(),
        false => format!(" by thread {}", hit.tid),
    };
    let (old, new) = (element.text(hit.old, py), element.text(hit.new, py));
    format!(
        "{} was written{by}: {old} became {new}; the report has the line",
        element.name
    )
}

/// Has CPython call the handler soon. It is safe in a signal handler.
pub(super) fn interrupt() {
    note_signal(libc::SIGTRAP);
}
