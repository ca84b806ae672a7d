//! Finds the memory behind a Python object: NumPy's structure, pandas' blocks, Arrow's and polars' buffers, the buffer
//! protocol, DLPack, or an `__array_interface__`.
//!
//! It asks objects for their memory and never for their text. What an object raises while it is asked is told as the
//! reason why it shows no buffer.

mod arrow;
mod arrow_stream;
mod dlpack;
mod pandas;
mod polars;
mod protocols;

use std::collections::VecDeque;
use std::rc::Rc;

use diaphane_forks::ProcessLock;
use diaphane_sight::proc::spans::{Layout, Span};
use pyo3::buffer::PyUntypedBuffer;
use pyo3::exceptions::PyAttributeError;
use pyo3::prelude::*;
use pyo3::types::{PyMemoryView, PyString, PyTuple};

use crate::numpy::arrays;
use crate::python::objects::type_name;

/// The memory that an object exports.
pub(crate) struct Buffer<'py> {
    /// The object.
    pub object: Bound<'py, PyAny>,
    /// The name of its type.
    pub kind: String,
    /// The kind of its items: NumPy's words, or a format of the `struct` module.
    pub dtype: String,
    /// Where the items lie.
    pub layout: Layout,
    /// Whether items may be assigned.
    pub writeable: bool,
    /// Whether the items lie in C order without gaps.
    pub c_contiguous: bool,
    /// Whether the items lie in Fortran order without gaps.
    pub f_contiguous: bool,
    /// The objects whose memory this is, the next one first; the last is the owner. Empty if the object is no view.
    pub chain: Vec<Bound<'py, PyAny>>,
    /// The owner's memory, where asking the owner would not tell.
    pub owner_span: Option<Span>,
    /// Whether pandas copies it before the next write to its object, since others use it too; nothing for other objects.
    pub copies_before_write: Option<bool>,
    /// The name of NumPy's allocator, for an array that has memory of its own.
    pub allocator: Option<String>,
    /// Keeps the exporter from moving its memory while we look.
    _export: Option<Export>,
}

/// What has to live as long as the memory is looked at, and is given back then.
#[allow(dead_code, reason = "held for the sake of being dropped")]
enum Export {
    Buffer(PyUntypedBuffer),
    Tensor(dlpack::Tensor),
    Arrow(Rc<arrow_stream::Chunk>),
}

impl<'py> Buffer<'py> {
    /// A dense buffer of an object that owns it and allows no writing, until the fields say something else.
    fn new(object: &Bound<'py, PyAny>, layout: Layout) -> Self {
        let (c_contiguous, f_contiguous) = protocols::contiguity(&layout);
        Self {
            object: object.clone(),
            kind: type_name(object),
            dtype: String::new(),
            layout,
            writeable: false,
            c_contiguous,
            f_contiguous,
            chain: Vec::new(),
            owner_span: None,
            copies_before_write: None,
            allocator: None,
            _export: None,
        }
    }

    /// The same with another layout, if there is one.
    fn laid_out(self, layout: Option<Layout>) -> Self {
        match layout {
            Some(layout) => {
                let (c_contiguous, f_contiguous) = protocols::contiguity(&layout);
                Self {
                    layout,
                    c_contiguous,
                    f_contiguous,
                    ..self
                }
            }
            None => self,
        }
    }

    /// The object at the end of the chain of views; the object itself if it is no view.
    pub fn owner(&self) -> &Bound<'py, PyAny> {
        self.chain.last().unwrap_or(&self.object)
    }

    /// Whether the object has memory of its own.
    pub fn is_owner(&self) -> bool {
        self.chain.is_empty()
    }

    /// The owner's memory, where the owner tells it.
    pub fn whole(&self) -> PyResult<Option<Span>> {
        if self.owner_span.is_some() {
            return Ok(self.owner_span);
        }
        if self.is_owner() {
            return Ok(Some(self.layout.bounds()));
        }
        Ok(array(self.owner())?.map(|owner| owner.layout.bounds()))
    }

    /// What tells one owner from another. Arrow makes a new Python object each time it is asked for a buffer.
    pub fn owner_id(&self) -> usize {
        match self.owner_span {
            Some(span) => span.start,
            None => self.owner().as_ptr().addr(),
        }
    }
}

/// A buffer with the part of the object it belongs to, or the reason why there is none.
pub(crate) struct ExportedBuffer<'py> {
    /// What to write behind the name of the object; empty for the object as a whole.
    pub part: String,
    /// The buffer.
    pub buffer: Result<Buffer<'py>, String>,
}

impl<'py> ExportedBuffer<'py> {
    fn new(part: impl Into<String>, buffer: Buffer<'py>) -> Self {
        Self {
            part: part.into(),
            buffer: Ok(buffer),
        }
    }

    /// No buffer, and why.
    pub fn nothing(part: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            part: part.into(),
            buffer: Err(reason.into()),
        }
    }

    /// The same below a part of a larger whole.
    fn below(self, part: &str) -> Self {
        Self {
            part: format!("{part}{}", self.part),
            ..self
        }
    }
}

/// Asks an object; nothing if it exports no memory. One that the user named may be asked in ways that run its own code.
pub(crate) fn of<'py>(object: &Bound<'py, PyAny>, named: bool) -> Vec<ExportedBuffer<'py>> {
    match ask(object, named) {
        Ok(found) => found.unwrap_or_default(),
        Err(error) => vec![ExportedBuffer::nothing("", words(object.py(), &error))],
    }
}

/// Whether an object may export memory that is asked about, or be a view of such memory: of a NumPy array that is known at
/// once, of all others it is assumed. No Python code runs.
pub(crate) fn may_touch(object: &Bound<'_, PyAny>, is_asked: &impl Fn(Span) -> bool) -> bool {
    if !arrays::is_imported(object.py()).unwrap_or(false) {
        return true;
    }
    match arrays::bounds(object) {
        Some((bounds, base)) => {
            is_asked(bounds) || base.is_some_and(|base| may_touch(&base, is_asked))
        }
        None => true,
    }
}

fn ask<'py>(object: &Bound<'py, PyAny>, named: bool) -> PyResult<Option<Vec<ExportedBuffer<'py>>>> {
    let whole = |buffer| Some(vec![ExportedBuffer::new("", buffer)]);
    if let Some(array) = array(object)? {
        return Ok(whole(array));
    }
    // Its value lies in the object itself; what it exports is a copy.
    if arrays::is_scalar(object)? {
        return Ok(None);
    }
    if let Some(found) = pandas::parts(object)? {
        return Ok(Some(found));
    }
    if let Some(found) = arrow::parts(object)? {
        return Ok(Some(found));
    }
    if let Some(found) = polars::parts(object)? {
        return Ok(Some(found));
    }
    if let Some(buffer) = protocols::exported(object)? {
        return Ok(whole(buffer));
    }
    if let Some(buffer) = dlpack::torch_tensor(object)? {
        return Ok(whole(buffer));
    }
    if !named {
        return Ok(None);
    }
    if let Some(buffer) = protocols::interface(object)? {
        return Ok(whole(buffer));
    }
    Ok(dlpack::tensor(object)?.and_then(whole))
}

/// The memory of a NumPy array, of any subclass.
pub(crate) fn array<'py>(object: &Bound<'py, PyAny>) -> PyResult<Option<Buffer<'py>>> {
    let Some(array) = arrays::read(object)? else {
        return Ok(None);
    };
    Ok(Some(Buffer {
        dtype: dtype_text(&array.dtype)?,
        writeable: array.writeable,
        c_contiguous: array.c_contiguous,
        f_contiguous: array.f_contiguous,
        chain: match array.base {
            Some(base) => links(base)?,
            None => Vec::new(),
        },
        allocator: array.allocator,
        ..Buffer::new(object, array.layout)
    }))
}

/// A dtype in NumPy's words. NumPy finds them by Python code, so that those of the last few are kept.
fn dtype_text(dtype: &Bound<'_, PyAny>) -> PyResult<String> {
    const KEPT: usize = 16;
    static WORDS: ProcessLock<VecDeque<(Py<PyAny>, String)>> = ProcessLock::new(VecDeque::new);
    let lock = || WORDS.lock();
    let known = lock()
        .iter()
        .find(|(known, _)| known.is(dtype))
        .map(|(_, words)| words.clone());
    if let Some(words) = known {
        return Ok(words);
    }
    let words = dtype.str()?.to_string_lossy().into_owned();
    let mut all = lock();
    all.push_back((dtype.clone().unbind(), words.clone()));
    let oldest = if all.len() > KEPT {
        all.pop_front()
    } else {
        None
    };
    drop(all);
    // Its end may run code, which must not find the list locked.
    drop(oldest);
    Ok(words)
}

/// What an object is a view of, what that is a view of, and so on.
fn chain<'py>(object: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyAny>>> {
    base(object)?.map_or_else(|| Ok(Vec::new()), links)
}

fn links(first: Bound<'_, PyAny>) -> PyResult<Vec<Bound<'_, PyAny>>> {
    // NumPy and memoryview shorten chains themselves, so that a long one is a sign of a loop.
    const LONGEST: usize = 64;
    let mut chain = vec![first];
    while chain.len() < LONGEST {
        let next = match chain.last() {
            Some(last) => base(last)?,
            None => None,
        };
        match next {
            Some(next) => chain.push(next),
            None => break,
        }
    }
    Ok(chain)
}

fn base<'py>(object: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    Ok(match arrays::read(object)? {
        Some(array) => array.base,
        None if object.is_instance_of::<PyMemoryView>() => {
            object.getattr("obj").ok().filter(|base| !base.is_none())
        }
        None if is_stand_in(object) => plain_attribute(object, "base")?,
        None => None,
    })
}

/// What `as_strided` and `sliding_window_view` put between a view and its array.
fn is_stand_in(object: &Bound<'_, PyAny>) -> bool {
    let class = object.get_type();
    let module = class.module();
    type_name(object) == "DummyArray"
        && module.is_ok_and(|module| module.to_string_lossy().starts_with("numpy."))
}

/// An attribute as `object` itself would find it: a user's `__getattr__` is not asked.
fn plain_attribute<'py>(
    object: &Bound<'py, PyAny>,
    name: &str,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = object.py();
    let plain = py.get_type::<PyAny>().getattr("__getattribute__")?;
    match plain.call1((object, name)) {
        Err(error) if error.is_instance_of::<PyAttributeError>(py) => Ok(None),
        found => found.map(Some),
    }
}

/// An exception in words, without its `__str__`.
pub(crate) fn words(py: Python<'_>, error: &PyErr) -> String {
    let value = error.value(py);
    let arguments = value
        .getattr("args")
        .and_then(|args| Ok(args.cast_into::<PyTuple>()?));
    let first = arguments.and_then(|args| Ok(args.get_item(0)?.cast_into::<PyString>()?));
    let kind = type_name(value);
    first.map_or(kind.clone(), |message| {
        format!("{kind}: {}", message.to_string_lossy())
    })
}
