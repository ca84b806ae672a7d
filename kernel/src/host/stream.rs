//! `sys.stdout` and `sys.stderr`: what is written goes to the cell that the writing code runs for.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyString;

use super::native::{Native, is_forked};
use super::parent;
use crate::capture::take_text;
use crate::kernel::Kernel;
use crate::outbox;

/// How much is put into the outbox at once, before we look whether it is full.
const SLICE: usize = 1 << 20;
/// How long to wait for room before signals are looked at.
const TIMEOUT: Duration = Duration::from_millis(50);

/// The writing half of a text stream; `diaphane.streams` adds what else a Python stream has.
#[pyclass(subclass, frozen, module = "_diaphane")]
pub struct Stream {
    kernel: Arc<Kernel>,
    stream: outbox::StandardStream,
    /// The beginning of a character that was written as bytes.
    rest: Mutex<Vec<u8>>,
    /// In a forked child, the beginning of a line.
    line: Mutex<String>,
}

/// Waits while too much waits for clients; an interrupt ends that.
pub(super) fn wait_for_room(py: Python<'_>, kernel: &Kernel) -> PyResult<()> {
    let has_room = || py.detach(|| kernel.outbox.wait_for_room(TIMEOUT));
    while !has_room() {
        py.check_signals()?;
    }
    Ok(())
}

#[pymethods]
impl Stream {
    #[new]
    fn new(native: &Native, name: &str) -> PyResult<Self> {
        let stream = match name {
            "stdout" => outbox::StandardStream::Stdout,
            "stderr" => outbox::StandardStream::Stderr,
            _ => {
                return Err(PyValueError::new_err(format!(
                    "a stream is stdout or stderr, not {name:?}"
                )));
            }
        };
        Ok(Self {
            kernel: Arc::clone(&native.kernel),
            stream,
            rest: Mutex::default(),
            line: Mutex::default(),
        })
    }

    /// Writes a string. Returns how many characters it has.
    fn write(&self, py: Python<'_>, text: &Bound<'_, PyAny>) -> PyResult<usize> {
        let Ok(text) = text.cast::<PyString>() else {
            let class = text.get_type().name()?;
            return Err(PyTypeError::new_err(format!(
                "write() argument must be str, not {class}"
            )));
        };
        match text.to_str() {
            Ok(utf8) => self.put(py, utf8)?,
            // A lone surrogate is no character that JSON could carry.
            Err(_) => self.put(py, &text.to_string_lossy())?,
        }
        text.len()
    }

    /// Writes bytes, which are text in UTF-8. Returns how many there are.
    fn write_bytes(&self, py: Python<'_>, bytes: &[u8]) -> PyResult<usize> {
        let text = {
            let mut rest = self.rest.lock();
            rest.extend_from_slice(bytes);
            take_text(&mut rest)
        };
        self.put(py, &text)?;
        Ok(bytes.len())
    }

    /// Sends what was written. It does not wait until it has arrived.
    fn flush(&self) -> std::io::Result<()> {
        if is_forked() {
            let rest = std::mem::take(&mut *self.line.lock());
            return self.write_to_descriptor(&rest);
        }
        self.kernel.outbox.flush();
        Ok(())
    }
}

impl Stream {
    fn put(&self, py: Python<'_>, mut text: &str) -> PyResult<()> {
        if is_forked() {
            return py.detach(|| self.put_in_child(text)).map_err(PyErr::from);
        }
        let kernel = &self.kernel;
        let parent = parent::request(py, kernel);
        if kernel.capture.is_due() {
            kernel.drain_capture();
        }
        while !text.is_empty() {
            let (now, later) = text.split_at(text.floor_char_boundary(SLICE));
            let full = kernel.outbox.write(self.stream, parent.as_ref(), now);
            text = later;
            if full {
                wait_for_room(py, kernel)?;
            }
        }
        Ok(())
    }

    /// A forked child has no io thread: its text goes through the pipe, and the kernel publishes it.
    ///
    /// Whole lines, because several children write at once.
    fn put_in_child(&self, text: &str) -> std::io::Result<()> {
        let mut line = self.line.lock();
        line.push_str(text);
        let Some(end) = line.rfind('\n') else {
            return Ok(());
        };
        let rest = line.split_off(end + 1);
        let lines = std::mem::replace(&mut *line, rest);
        self.write_to_descriptor(&lines)
    }

    fn write_to_descriptor(&self, text: &str) -> std::io::Result<()> {
        use std::io::Write as _;
        let fd = match self.stream {
            outbox::StandardStream::Stdout => rustix::stdio::stdout(),
            outbox::StandardStream::Stderr => rustix::stdio::stderr(),
        };
        std::fs::File::from(fd.try_clone_to_owned()?).write_all(text.as_bytes())
    }
}
