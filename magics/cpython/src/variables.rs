//! The entries of a dictionary, read from memory without the GIL: of this process, or of another one.
//!
//! Whoever changes it meanwhile makes the answer wrong at worst, which the types of the keys give away.

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::own_layout::layout_that_holds;
use crate::reader::Reader;

/// No larger dictionary is read.
const MOST: usize = 1 << 20;
const WORD: usize = size_of::<usize>();

/// Offsets from the end of an object's head: `PyDictObject`, the same in all versions.
const KEYS: usize = 2 * WORD;
/// Offsets in `PyDictKeysObject`.
const INDEX_BYTES: usize = WORD + 1;
const KIND: usize = WORD + 2;
const COUNT: usize = 3 * WORD;
const INDICES: usize = 4 * WORD;
/// Entries have a hash in front where not all keys are strings.
const GENERAL: u8 = 0;
/// All keys are strings.
const UNICODE: u8 = 1;

/// A variable: its name and its object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// The key.
    pub name: String,
    /// The value's address.
    pub object: usize,
}

impl Reader {
    /// What dictionaries of this process are read by, once its layout was found to hold.
    pub fn of_this_process() -> Option<Self> {
        Self::own().filter(|_| layout_that_holds().is_some())
    }

    /// Where an object's own fields begin.
    #[must_use]
    pub fn head(&self) -> usize {
        self.layout.object.class + WORD
    }

    /// The entries of a dictionary whose keys are strings; others are left out.
    #[must_use]
    pub fn entries(&self, dict: usize) -> Option<Vec<Variable>> {
        let keys = self.word(dict, self.head() + KEYS)?;
        let byte = |offset: usize| Some(*self.target.bytes(keys.checked_add(offset)?, 1).first()?);
        let (index_bytes, kind) = (byte(INDEX_BYTES)?, byte(KIND)?);
        let width = match kind {
            GENERAL => 3,
            UNICODE => 2,
            _ => return None,
        };
        let count = self.word(keys, COUNT)?;
        if count > MOST || index_bytes > 32 {
            return None;
        }
        let start = keys.checked_add(INDICES + (1 << index_bytes))?;
        let raw = self.target.bytes(start, count * width * WORD);
        let (words, _) = raw.as_chunks::<WORD>();
        let words: Vec<usize> = words
            .iter()
            .map(|word| usize::from_ne_bytes(*word))
            .collect();
        let entry = |words: &[usize]| {
            let [.., key, object] = *words else {
                return None;
            };
            let name = (key != 0 && object != 0)
                .then(|| self.text(key))
                .flatten()?;
            Some(Variable { name, object })
        };
        Some(words.chunks_exact(width).filter_map(entry).collect())
    }

    /// The name of an object's type, as C has it.
    #[must_use]
    pub fn class_name(&self, object: usize) -> Option<String> {
        let class = self.class(object)?;
        self.target
            .c_string(self.word(class, self.layout.object.class_name)?)
    }

    /// The word that lies so far behind an object's head.
    #[must_use]
    pub fn field(&self, object: usize, offset: usize) -> Option<usize> {
        self.word(object, self.head() + offset)
    }

    /// The words at an address.
    #[must_use]
    pub fn words(&self, address: usize, count: usize) -> Vec<usize> {
        let raw = self.target.bytes(address, count * WORD);
        let (words, _) = raw.as_chunks::<WORD>();
        words
            .iter()
            .map(|word| usize::from_ne_bytes(*word))
            .collect()
    }

    /// The C `int` that lies so far behind an object's head.
    #[must_use]
    pub fn int_field(&self, object: usize, offset: usize) -> Option<i32> {
        self.int(object, self.head() + offset)
    }
}

/// Whether dictionaries of this Python are read as they are, by comparison of one with the C interface.
pub fn is_known(py: Python<'_>) -> bool {
    let Some(reader) = Reader::of_this_process() else {
        return false;
    };
    let dict = PyDict::new(py);
    let name = |number: usize| format!("name {number}");
    let filled = (0..40).try_for_each(|number| dict.set_item(name(number), name(number)));
    let gone = dict.del_item(name(7));
    let same = || {
        let expected = dict.iter().map(|(key, value)| Variable {
            name: key.to_string(),
            object: value.as_ptr().addr(),
        });
        reader.entries(dict.as_ptr().addr()) == Some(expected.collect())
    };
    let by_names = same();
    let mixed = dict.set_item(1, 2).and_then(|()| dict.del_item(1));
    filled.is_ok() && gone.is_ok() && by_names && mixed.is_ok() && same()
}
