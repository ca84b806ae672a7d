//! Where a recording shows what goes on while it lasts: an output below the cell, whose content is replaced again and again.
//!
//! Our own kernel sends it without Python, so it goes on while somebody else has the GIL. In somebody else's kernel its
//! IPython has to be asked, which waits for the GIL. Elsewhere there is nobody to show it.

use std::sync::atomic::{AtomicBool, Ordering};

use diaphane_forks::ForkOnce;
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyDict};

use crate::python::ipython::shell;

/// An output whose content can be replaced.
pub trait LiveDisplay: Send + Sync {
    /// Shows a page in place of the one before. The last one is what stays where the process ends before this is removed.
    fn show(&self, page: &str, last: &str);
    /// Leaves nothing of it.
    fn remove(&self);
    /// Has Python's names of threads noted as soon as the GIL can be had; nobody waits for it.
    fn ask_for_names(&self) {}
}

type Open = Box<dyn Fn(Python<'_>) -> Box<dyn LiveDisplay> + Send + Sync>;

static OPEN: ForkOnce<Open> = ForkOnce::new();

/// Says how an output is opened below the cell whose code runs on the calling thread.
pub fn set_live_displays(
    open: impl Fn(Python<'_>) -> Box<dyn LiveDisplay> + Send + Sync + 'static,
) {
    OPEN.get_or_init(|| Box::new(open));
}

/// An output, and whether it changes only when the GIL can be had.
pub(crate) struct OpenedDisplay {
    display: Box<dyn LiveDisplay>,
    pub needs_gil: bool,
}

impl OpenedDisplay {
    /// Opens one below the calling cell; nothing where nobody would see it.
    pub fn open(py: Python<'_>) -> Option<Self> {
        if let Some(open) = OPEN.get() {
            return Some(Self {
                display: open(py),
                needs_gil: false,
            });
        }
        let display = OutputOfHost::open(py).ok().flatten()?;
        Some(Self {
            display: Box::new(display),
            needs_gil: true,
        })
    }
}

impl std::ops::Deref for OpenedDisplay {
    type Target = dyn LiveDisplay;

    fn deref(&self) -> &Self::Target {
        &*self.display
    }
}

impl Drop for OpenedDisplay {
    fn drop(&mut self) {
        self.display.remove();
    }
}

/// An output of the kernel whose guest we are, in the context of the cell.
struct OutputOfHost {
    publish: Py<PyAny>,
    context: Py<PyAny>,
    name: String,
    is_shown: AtomicBool,
}

impl OutputOfHost {
    fn open(py: Python<'_>) -> PyResult<Option<Self>> {
        // IPython in a terminal has no outputs that could change.
        let Some(shell) = shell(py)?.filter(|shell| shell.hasattr("kernel").unwrap_or(false))
        else {
            return Ok(None);
        };
        let uuid = py.import("uuid")?.call_method0("uuid4")?;
        let context = py.import("contextvars")?.call_method0("copy_context")?;
        Ok(Some(Self {
            publish: shell.getattr("display_pub")?.getattr("publish")?.unbind(),
            context: context.unbind(),
            name: uuid.str()?.to_string(),
            is_shown: AtomicBool::new(false),
        }))
    }

    fn publish(&self, py: Python<'_>, data: Bound<'_, PyDict>, update: bool) -> PyResult<()> {
        let options = PyDict::new(py);
        options.set_item("data", data)?;
        options.set_item("metadata", PyDict::new(py))?;
        options.set_item("transient", [("display_id", &self.name)].into_py_dict(py)?)?;
        options.set_item("update", update)?;
        let context = self.context.bind(py);
        context.call_method("run", (&self.publish,), Some(&options))?;
        Ok(())
    }

    /// What cannot be shown is not: the recording goes on.
    fn send(&self, page: &[(&str, &str)], update: bool) {
        let sent = Python::try_attach(|py| self.publish(py, page.into_py_dict(py)?, update));
        if let Some(Err(error)) = sent {
            Python::attach(|py| error.write_unraisable(py, None));
        }
    }
}

impl LiveDisplay for OutputOfHost {
    fn show(&self, page: &str, _last: &str) {
        let update = self.is_shown.swap(true, Ordering::Relaxed);
        self.send(&[("text/html", page)], update);
    }

    fn remove(&self) {
        if self.is_shown.load(Ordering::Relaxed) {
            self.send(&[("text/html", ""), ("text/plain", "")], true);
        }
    }
}
