//! The code objects and callables that were reported, each with a number. They are kept alive until the report is made,
//! so that no other object can take their address.

use std::collections::HashMap;

use pyo3::prelude::*;
use pyo3::types::PyString;

use super::costs::ReportCosts;

use super::callables::{Callable, Key};

/// How many recent objects are found without a search.
const RECENT: usize = 1024;

/// What was reported so far.
pub struct Table {
    codes: Numbers,
    callables: Numbers,
    /// The numbers of the functions by which Python loads libraries.
    loaders: Vec<u32>,
}

/// Objects by their keys.
struct Numbers {
    numbers: Option<HashMap<Key, u32>>,
    /// Empty until something is reported: a table is moved, and a thread may have a small stack.
    recent: Vec<(Key, u32)>,
    kept: Vec<Py<PyAny>>,
}

/// A Python function's code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeObject {
    /// The qualified name.
    pub function: String,
    /// The file name, as the code object has it.
    pub file: String,
    /// Its first line.
    pub line: u32,
    /// The object itself, which lives as long as the `Known`.
    pub address: usize,
}

/// What the numbers in events stand for.
#[derive(Default)]
pub struct Known {
    /// Code objects, by number.
    pub codes: Vec<CodeObject>,
    /// Callables, by number.
    pub callables: Vec<Callable>,
    /// What Python could not report, in words.
    pub limits: Vec<String>,
    /// The code objects themselves.
    pub objects: Vec<Py<PyAny>>,
    /// How often Python reported something.
    pub reports: u64,
    /// How often it did so in an import, which is one step.
    pub no_news: u64,
    /// What such a report costs.
    pub costs: ReportCosts,
}

impl Table {
    pub const EMPTY: Self = Self {
        codes: Numbers::EMPTY,
        callables: Numbers::EMPTY,
        loaders: Vec::new(),
    };

    /// The number of a code object, and whether it is new.
    pub fn code(&mut self, code: &Bound<'_, PyAny>) -> (u32, bool) {
        let key = (code.as_ptr().addr(), 0);
        match self.codes.recent(key) {
            Some(number) => (number, false),
            None => self.codes.insert(key, code.clone().unbind()),
        }
    }

    pub fn callable(&mut self, callable: &Bound<'_, PyAny>) -> u32 {
        let key = super::callables::key(callable);
        if let Some(number) = self.callables.recent(key) {
            return number;
        }
        let kept = super::callables::kept(callable);
        let (number, is_new) = self.callables.insert(key, kept);
        if is_new && super::callables::is_loader(callable) {
            self.loaders.push(number);
        }
        number
    }

    pub fn loads(&self, number: u32) -> bool {
        self.loaders.contains(&number)
    }

    /// Reads names: Python code may run from here on.
    pub fn known(self, py: Python<'_>) -> PyResult<Known> {
        let code = |object: &Py<PyAny>| {
            let object = object.bind(py);
            let name = if cfg!(Py_3_11) {
                "co_qualname"
            } else {
                "co_name"
            };
            // A name may have what no file can have: lone surrogates.
            let text = |name: &str| -> PyResult<String> {
                let text = object.getattr(name)?;
                Ok(text.cast::<PyString>()?.to_string_lossy().into_owned())
            };
            Ok(CodeObject {
                function: text(name)?,
                file: text("co_filename")?,
                line: object.getattr("co_firstlineno")?.extract()?,
                address: object.as_ptr().addr(),
            })
        };
        let codes = self.codes.kept.iter().map(code).collect::<PyResult<_>>()?;
        let by_number = self.callables.by_number();
        let callables = by_number.iter().zip(&self.callables.kept);
        Ok(Known {
            codes,
            callables: callables
                .map(|(&key, kept)| Callable::read(key, kept.bind(py)))
                .collect(),
            limits: Vec::new(),
            objects: self.codes.kept,
            reports: 0,
            no_news: 0,
            costs: ReportCosts::default(),
        })
    }
}

impl Numbers {
    const EMPTY: Self = Self {
        numbers: None,
        recent: Vec::new(),
        kept: Vec::new(),
    };

    fn recent(&self, key: Key) -> Option<u32> {
        let &(known, number) = self.recent.get(place(key))?;
        (known == key).then_some(number)
    }

    /// The number of a key, and whether it is new.
    fn insert(&mut self, key: Key, kept: Py<PyAny>) -> (u32, bool) {
        let numbers = self.numbers.get_or_insert_default();
        let next = self.kept.len() as u32;
        let number = *numbers.entry(key).or_insert(next);
        let is_new = number == next;
        if is_new {
            self.kept.push(kept);
        }
        self.recent.resize(RECENT, ((0, 0), 0));
        self.recent[place(key)] = (key, number);
        (number, is_new)
    }

    fn by_number(&self) -> Vec<Key> {
        let mut keys = vec![(0, 0); self.kept.len()];
        for (&key, &number) in self.numbers.iter().flatten() {
            keys[number as usize] = key;
        }
        keys
    }
}

/// Objects lie 16 bytes apart at least.
fn place(key: Key) -> usize {
    ((key.0 ^ key.1.rotate_left(7)) >> 4) % RECENT
}
