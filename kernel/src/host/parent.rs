//! The request that code runs for: a context variable, so that tasks and threads keep the cell that made them.
#![allow(
    unsafe_code,
    reason = "reading a context variable without a method call is CPython's C interface"
)]

use std::sync::Arc;

use diaphane_wire::Message;
use pyo3::exceptions::PyValueError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyList};

use crate::outbox::Parent;

/// A request, as Python sees it.
#[pyclass(frozen, name = "Parent", module = "_diaphane")]
pub struct PyParent {
    pub(super) message: Parent,
    as_dict: PyOnceLock<Py<PyDict>>,
}

impl PyParent {
    pub(super) fn new(message: &Parent) -> Self {
        Self {
            message: Arc::clone(message),
            as_dict: PyOnceLock::new(),
        }
    }
}

#[pymethods]
impl PyParent {
    /// The request with this header, a JSON object: what is published for it names it, but it cannot be answered.
    #[new]
    fn with_header(header: &str) -> PyResult<Self> {
        let (header, raw_header) = diaphane_wire::read_header(header.as_bytes().to_vec())
            .map_err(|error| PyValueError::new_err(error.to_string()))?;
        let message = Message {
            header,
            raw_header,
            raw_parent: b"{}".to_vec(),
            metadata: b"{}".to_vec(),
            content: b"{}".to_vec(),
            ..Message::default()
        };
        Ok(Self::new(&Arc::new(message)))
    }

    /// The routing identities of the client that sent it.
    #[getter]
    fn identities<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        let identities = self.message.identities.iter();
        identities
            .map(|identity| PyBytes::new(py, identity))
            .collect()
    }

    /// The message as `jupyter_client` writes it: a dict of header, parent_header, metadata, content and buffers.
    fn message(&self, py: Python<'_>) -> PyResult<Py<PyDict>> {
        self.as_dict
            .get_or_try_init(py, || as_dict(py, &self.message))
            .map(|dict| dict.clone_ref(py))
    }

    /// The metadata of the message.
    fn metadata(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        if self.message.metadata == b"{}" {
            return Ok(PyDict::new(py).into_any().unbind());
        }
        Ok(loads(py, &self.message.metadata)?.unbind())
    }
}

fn as_dict(py: Python<'_>, message: &Parent) -> PyResult<Py<PyDict>> {
    let dict = PyDict::new(py);
    let header = loads(py, &message.raw_header)?;
    dict.set_item("header", &header)?;
    dict.set_item("msg_id", &message.header.msg_id)?;
    dict.set_item("msg_type", &message.header.msg_type)?;
    dict.set_item("parent_header", loads(py, &message.raw_parent)?)?;
    dict.set_item("metadata", loads(py, &message.metadata)?)?;
    dict.set_item("content", loads(py, &message.content)?)?;
    let view = py.import("builtins")?.getattr("memoryview")?;
    let buffers = PyList::empty(py);
    for buffer in &message.buffers {
        buffers.append(view.call1((PyBytes::new(py, buffer),))?)?;
    }
    dict.set_item("buffers", buffers)?;
    Ok(dict.unbind())
}

fn loads<'py>(py: Python<'py>, json: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    py.import("json")?
        .call_method1("loads", (PyBytes::new(py, json),))
}

static VARIABLE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// The context variable.
pub(super) fn variable(py: Python<'_>) -> PyResult<&Py<PyAny>> {
    VARIABLE.get_or_try_init(py, || {
        let arguments = PyDict::new(py);
        arguments.set_item("default", py.None())?;
        let class = py.import("contextvars")?.getattr("ContextVar")?;
        Ok(class.call(("diaphane_parent",), Some(&arguments))?.unbind())
    })
}

/// The request that the calling code runs for, if it runs for one.
pub(super) fn current(py: Python<'_>) -> Option<Parent> {
    let variable = variable(py).ok()?;
    let mut value = std::ptr::null_mut();
    // SAFETY: the GIL is held, `variable` is a ContextVar, and `value` receives a new reference or stays null.
    let found =
        unsafe { ffi::PyContextVar_Get(variable.as_ptr(), std::ptr::null_mut(), &raw mut value) };
    if found < 0 {
        PyErr::fetch(py).write_unraisable(py, None);
        return None;
    }
    // SAFETY: a value that is not null is a new reference, which is handed over here.
    let value = unsafe { Bound::from_owned_ptr_or_opt(py, value) }?;
    value
        .cast::<PyParent>()
        .ok()
        .map(|parent| Arc::clone(&parent.get().message))
}
