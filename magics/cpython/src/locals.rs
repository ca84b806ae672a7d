//! The local variables of a Python function that has not returned: names, types and lengths, and never a value.
//!
//! They are read from memory like the frames, so that no method of theirs runs. The thread must not run meanwhile.

use diaphane_sight::proc::spans::{c_string, int, word};
use pyo3::ffi;
use serde::Serialize;

use super::reader::Reader;

/// No function shows more.
const MOST: usize = 100;
/// Where every object has its type, and a type its name.
const TYPE: usize = 8;
const TYPE_NAME: usize = 24;
/// Where lists, tuples, bytes, strings and dictionaries have their length, and a tuple its items.
const LENGTH: usize = 16;
const ITEMS: usize = 24;

/// One variable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Local {
    pub name: String,
    /// The name of its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// How many items it has, for the containers that are known exactly.
    pub len: Option<usize>,
}

/// The variables of a frame that have a value.
pub fn locals(frame: usize, code: usize) -> Option<Vec<Local>> {
    let reader = Reader::own()?;
    let layout = &reader.layout;
    let names = word(code + layout.code.variables)?;
    let count = usize::try_from(int(code + layout.code.variable_count)?).ok()?;
    let local = |index: usize| {
        let offset = index * size_of::<usize>();
        let value = word(frame + layout.frame.size + offset).filter(|&value| value != 0)?;
        Local::read(reader.text(word(names + ITEMS + offset)?)?, value)
    };
    Some((0..count.min(MOST)).filter_map(local).collect())
}

impl Local {
    fn read(name: String, value: usize) -> Option<Self> {
        let kind = word(value.checked_add(TYPE)?)?;
        let sized = [
            (&raw const ffi::PyList_Type).addr(),
            (&raw const ffi::PyTuple_Type).addr(),
            (&raw const ffi::PyBytes_Type).addr(),
            (&raw const ffi::PyUnicode_Type).addr(),
            (&raw const ffi::PyDict_Type).addr(),
        ];
        Some(Self {
            name,
            kind: c_string(word(kind.checked_add(TYPE_NAME)?)?)?,
            len: word(value + LENGTH).filter(|_| sized.contains(&kind)),
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
