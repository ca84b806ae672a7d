//! The request that code runs for: a context variable, so that tasks keep the cell that made them.
//!
//! A thread that Python starts has no request of its own there, but the lane that it was started from: what it prints
//! belongs to the request that the lane answers at that moment. `set_parent` gives it a request, which it keeps.
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

use super::native::is_forked;
use crate::kernel::Kernel;
use crate::lane::Lane;
use crate::outbox::Parent;

/// A request, as Python sees it.
#[pyclass(frozen, name = "Parent", module = "_diaphane")]
pub struct PyParent {
    pub(super) message: Parent,
    /// Where threads belong that are started for it.
    lane: Arc<Lane>,
    /// Whether `set_parent` has chosen it.
    is_pinned: bool,
    as_dict: PyOnceLock<Py<PyDict>>,
}

/// A lane, as the context variable of a thread holds it.
#[pyclass(frozen, name = "Lane", module = "_diaphane")]
pub struct PyLane(Arc<Lane>);

/// What the calling code runs for.
pub(super) enum Origin {
    /// A request, and the lane that answers it.
    Request(Parent, Arc<Lane>),
    /// A request that `set_parent` has chosen, on a thread of this lane.
    Pinned(Parent, Arc<Lane>),
    /// Whatever this lane answers.
    Lane(Arc<Lane>),
}

impl PyParent {
    pub(super) fn new(message: &Parent, lane: &Arc<Lane>) -> Self {
        Self {
            message: Arc::clone(message),
            lane: Arc::clone(lane),
            is_pinned: false,
            as_dict: PyOnceLock::new(),
        }
    }

    /// The request with this header, a JSON object: what is published for it names it, but it cannot be answered.
    /// `whole` is the message, as Python has it.
    pub(super) fn pinned(
        py: Python<'_>,
        header: &str,
        whole: Py<PyDict>,
        lane: Arc<Lane>,
    ) -> PyResult<Self> {
        let (header, raw_header) = diaphane_wire::read_header(header.as_bytes().to_vec())
            .map_err(|error| PyValueError::new_err(error.to_string()))?;
        let message = Message {
            header,
            raw_header,
            ..Message::default()
        };
        let as_dict = PyOnceLock::new();
        as_dict.get_or_init(py, || whole);
        Ok(Self {
            message: Arc::new(message),
            lane,
            is_pinned: true,
            as_dict,
        })
    }
}

#[pymethods]
impl PyParent {
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

/// The value of a thread that follows a lane.
pub(super) fn following(lane: Arc<Lane>) -> PyLane {
    PyLane(lane)
}

impl Origin {
    /// The lane that threads follow which are started here.
    pub(super) fn lane(&self) -> &Arc<Lane> {
        match self {
            Self::Request(_, lane) | Self::Pinned(_, lane) | Self::Lane(lane) => lane,
        }
    }

    /// The header of the request that `set_parent` has chosen, as JSON.
    pub(super) fn pinned_header(&self) -> Option<String> {
        match self {
            Self::Pinned(parent, _) => String::from_utf8(parent.raw_header.clone()).ok(),
            Self::Request(..) | Self::Lane(_) => None,
        }
    }

    /// The request that output belongs to. In a forked child nobody knows what the lane answers by now.
    pub(super) fn request(self) -> Option<Parent> {
        match self {
            Self::Request(parent, _) | Self::Pinned(parent, _) => Some(parent),
            Self::Lane(lane) => (!is_forked()).then(|| lane.present()).flatten(),
        }
    }
}

/// What the calling code runs for; nothing is known of threads that native code has started.
pub(super) fn origin(py: Python<'_>) -> Option<Origin> {
    let value = value(py)?;
    if let Ok(parent) = value.cast::<PyParent>() {
        let parent = parent.get();
        let kind = if parent.is_pinned {
            Origin::Pinned
        } else {
            Origin::Request
        };
        return Some(kind(Arc::clone(&parent.message), Arc::clone(&parent.lane)));
    }
    let lane = value.cast::<PyLane>().ok()?;
    Some(Origin::Lane(Arc::clone(&lane.get().0)))
}

/// The lane that the calling code runs on; a thread that native code has started counts to the main thread's.
pub(super) fn lane(py: Python<'_>, kernel: &Kernel) -> Arc<Lane> {
    let main = || Arc::clone(kernel.lanes.main());
    origin(py).map_or_else(main, |origin| Arc::clone(origin.lane()))
}

/// The request that output of the calling code belongs to.
pub(super) fn request(py: Python<'_>, kernel: &Kernel) -> Option<Parent> {
    origin(py)
        .unwrap_or_else(|| Origin::Lane(lane(py, kernel)))
        .request()
}

/// The same, as Python sees it.
pub(super) fn current<'py>(
    py: Python<'py>,
    kernel: &Kernel,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    if let Some(value) = value(py).filter(|value| value.is_instance_of::<PyParent>()) {
        return Ok(Some(value));
    }
    let lane = lane(py, kernel);
    let Some(request) = request(py, kernel) else {
        return Ok(None);
    };
    Ok(Some(
        Bound::new(py, PyParent::new(&request, &lane))?.into_any(),
    ))
}

fn value(py: Python<'_>) -> Option<Bound<'_, PyAny>> {
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
    unsafe { Bound::from_owned_ptr_or_opt(py, value) }
}
