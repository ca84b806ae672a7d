//! Why a magic has no report. The words are for the person who typed the line.

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;

use diaphane_cpython::modules::imported;

/// Why a magic has no report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The line cannot be understood; the message says what would be.
    #[error("{0}")]
    Usage(String),
    /// The magic looks at Python's objects, and whoever asked does not hold the GIL.
    #[error(
        "this needs Python, which runs something else at the moment; ask again when it is done"
    )]
    NeedsPython,
    /// The process could not be looked at.
    #[error(transparent)]
    Probe(#[from] diaphane_sight::Error),
    /// Python raised.
    #[error(transparent)]
    Python(#[from] PyErr),
    /// The magic panicked.
    #[error("diaphane bug: %{0} panicked on {1:?}; please report it with the lines above")]
    Panic(String, String),
    /// The report could not be made.
    #[error(transparent)]
    Report(diaphane_report::Error),
}

impl From<diaphane_report::Error> for Error {
    fn from(error: diaphane_report::Error) -> Self {
        match error {
            diaphane_report::Error::Usage(message) => Self::Usage(message),
            other => Self::Report(other),
        }
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::Report(error.into())
    }
}

impl Error {
    /// The name of the exception, for those who get no exception.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Usage(_) => "UsageError",
            Self::NeedsPython => "GilHeld",
            _ => "RuntimeError",
        }
    }

    /// The exception of a function: one that every Python has.
    pub(crate) fn into_plain_exception(self) -> PyErr {
        match self {
            Self::Usage(message) => {
                // How a line is written says nothing to who calls a function.
                let (what, _line) = message.split_once("; usage: %").unwrap_or((&message, ""));
                PyValueError::new_err(what.to_owned())
            }
            Self::Python(error) => error,
            other => PyRuntimeError::new_err(other.to_string()),
        }
    }

    /// The exception to raise: bad input is IPython's `UsageError`, which is shown as one line without a traceback.
    pub(crate) fn into_exception(self, py: Python<'_>) -> PyErr {
        match self {
            Self::Usage(message) => usage_error(py, message),
            other => other.into_plain_exception(),
        }
    }
}

/// Outside of IPython nobody knows its exception, and importing it would change the process.
fn usage_error(py: Python<'_>, message: String) -> PyErr {
    let module = imported(py, "IPython.core.error");
    let class = module.and_then(|module| {
        module
            .map(|module| module.getattr("UsageError"))
            .transpose()
    });
    match class.and_then(|class| {
        class
            .map(|class| class.call1((message.as_str(),)))
            .transpose()
    }) {
        Ok(Some(exception)) => PyErr::from_value(exception),
        _ => PyValueError::new_err(message),
    }
}
