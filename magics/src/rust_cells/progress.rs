//! One line below a cell that says what its compiler works on. It is replaced with each step, and gone at the end;
//! a cell that is compiled in the usual time never has it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyDict};

use crate::python::ipython::shell;

/// So long the compiler may take before anything is shown.
const TIMEOUT: Duration = Duration::from_millis(700);

/// The line of one question.
pub struct Progress<'py> {
    /// What shows it, where there is something that can take it away again.
    publisher: Option<Bound<'py, PyAny>>,
    began: Instant,
    name: String,
    shown: String,
}

impl<'py> Progress<'py> {
    /// For a magic that is the whole cell. The outputs of a cell cannot be told apart, so that among others it would stay.
    pub fn of_cell(py: Python<'py>) -> PyResult<Self> {
        let shell = shell(py)?.filter(|shell| shell.hasattr("kernel").unwrap_or(false));
        let publisher = shell
            .map(|shell| shell.getattr("display_pub"))
            .transpose()?;
        Ok(Self {
            publisher,
            ..Self::hidden()
        })
    }

    /// Shows nothing.
    pub fn hidden() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        Self {
            publisher: None,
            began: Instant::now(),
            name: format!("diaphane-rust-{}", COUNT.fetch_add(1, Ordering::Relaxed)),
            shown: String::new(),
        }
    }

    /// Shows what is worked on.
    pub fn show(&mut self, line: &str) -> PyResult<()> {
        let Some(publisher) = &self.publisher else {
            return Ok(());
        };
        if line == self.shown || self.began.elapsed() < TIMEOUT {
            return Ok(());
        }
        let py = publisher.py();
        let data: Bound<'_, PyDict> = [("text/plain", line)].into_py_dict(py)?;
        let options = PyDict::new(py);
        options.set_item("transient", [("display_id", &self.name)].into_py_dict(py)?)?;
        options.set_item("update", !self.shown.is_empty())?;
        line.clone_into(&mut self.shown);
        publisher.call_method("publish", (data,), Some(&options))?;
        Ok(())
    }

    /// Takes the line away.
    pub fn end(self) -> PyResult<()> {
        match self.publisher.filter(|_| !self.shown.is_empty()) {
            Some(publisher) => publisher.call_method0("clear_output").map(drop),
            None => Ok(()),
        }
    }
}
