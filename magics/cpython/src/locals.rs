//! The local variables of a Python function: names, types and lengths, and where their values are, never what they are.
//!
//! They are read from memory like the frames, so that no method of theirs runs. The thread must not run meanwhile.

use pyo3::ffi;
use serde::Serialize;

use crate::own_layout::layout_that_holds;
use crate::reader::{RawFrame, Reader};
use crate::versions::untagged;

/// No function shows more.
const MOST: usize = 100;
/// One variable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Local {
    /// Its name in the function.
    pub name: String,
    /// The name of its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// How many items it has, for the containers that are known exactly.
    pub len: Option<usize>,
}

/// The variables of a frame of this process that have a value.
pub fn locals(frame: &RawFrame) -> Option<Vec<Local>> {
    let reader = Reader::own()?;
    let values = frame.frame.checked_add(reader.layout.frame.locals)?;
    let local = |(index, name): (usize, Option<String>)| {
        let value = untagged(reader.word(values, index * size_of::<usize>())?);
        (value != 0).then_some(())?;
        Local::read(&reader, name?, value)
    };
    let names = reader.variables(frame.code)?;
    Some(names.into_iter().enumerate().filter_map(local).collect())
}

/// The variables of a frame object that have a value, each with the address of that, be the function at its end or not.
///
/// `None` where it is not known how this Python keeps them.
pub fn values(frame_object: usize) -> Option<Vec<(String, usize)>> {
    // `PyFrameObject` begins with the frame before it and the interpreter's frame, in every version that is known.
    const FRAME: usize = size_of::<ffi::PyObject>() + size_of::<usize>();
    let layout = layout_that_holds()?;
    let reader = Reader::own()?;
    let frame = reader.word(frame_object, FRAME)?;
    let code = untagged(reader.word(frame, layout.frame.code)?);
    (reader.class(code)? == reader.code_type).then_some(())?;
    let values = frame.checked_add(layout.frame.locals)?;
    let value = |(index, name): (usize, Option<String>)| {
        let reference = reader.word(values, index * size_of::<usize>())?;
        // Both bits are set in a small number, which is no reference.
        let is_object = untagged(reference) != 0 && reference & 3 != 3;
        is_object.then(|| Some((name?, untagged(reference))))?
    };
    let names = reader.variables(code)?;
    Some(names.into_iter().enumerate().filter_map(value).collect())
}

impl Reader {
    /// The names of a function's variables, its own ones first; `None` for one that could not be read.
    pub(crate) fn variables(&self, code: usize) -> Option<Vec<Option<String>>> {
        let names = self.word(code, self.layout.code.variables)?;
        let count = self.word(names, self.layout.object.length)?.min(MOST);
        let items = names.checked_add(self.layout.object.tuple_items)?;
        let name = |index: usize| self.text(self.word(items, index * size_of::<usize>())?);
        Some((0..count).map(name).collect())
    }
}

impl Local {
    fn read(reader: &Reader, name: String, value: usize) -> Option<Self> {
        let class = reader.class(value)?;
        let sized = [
            (&raw const ffi::PyList_Type).addr(),
            (&raw const ffi::PyTuple_Type).addr(),
            (&raw const ffi::PyBytes_Type).addr(),
            (&raw const ffi::PyUnicode_Type).addr(),
            (&raw const ffi::PyDict_Type).addr(),
        ];
        let object = &reader.layout.object;
        let kind = reader.word(class, object.class_name)?;
        Some(Self {
            name,
            kind: reader.target.c_string(kind)?,
            len: reader
                .word(value, object.length)
                .filter(|_| sized.contains(&class)),
        })
    }

    /// As people write it.
    pub fn line(&self) -> String {
        match self.len {
            Some(len) => format!("{}: {} of {len}", self.name, self.kind),
            None => format!("{}: {}", self.name, self.kind),
        }
    }
}
