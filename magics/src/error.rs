//! Why a magic has no report. The words are for the person who typed the line.

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;

/// Why a magic has no report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The line cannot be understood; the message says what would be.
    #[error("{0}")]
    Usage(String),
    /// The process could not be looked at.
    #[error(transparent)]
    Probe(#[from] diaphane_sight::Error),
    /// Python raised.
    #[error(transparent)]
    Python(#[from] PyErr),
    /// A row has no form in JSON.
    #[error("diaphane bug: a row cannot be written as JSON: {0}")]
    Row(#[from] serde_json::Error),
}

impl Error {
    /// The exception to raise: bad input is IPython's `UsageError`, which is shown as one line without a traceback.
    pub(crate) fn into_exception(self, py: Python<'_>) -> PyErr {
        match self {
            Self::Usage(message) => usage_error(py, message),
            Self::Python(error) => error,
            other => PyRuntimeError::new_err(other.to_string()),
        }
    }
}

fn usage_error(py: Python<'_>, message: String) -> PyErr {
    let exception = py
        .import("IPython.core.error")
        .and_then(|module| module.getattr("UsageError"))
        .and_then(|class| class.call1((message.as_str(),)));
    exception.map_or_else(|_| PyValueError::new_err(message), PyErr::from_value)
}
