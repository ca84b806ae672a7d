//! Which arrays the user's variables hold, before a cell and after it.

use std::collections::HashSet;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::numpy::arrays;
use diaphane_cpython::dicts::entries;

/// Which arrays there are: the object and its first byte, so that one in the place of another is seen.
pub(crate) type KnownArrays = HashSet<(usize, usize)>;

/// An array that a variable holds.
pub(crate) struct Held {
    pub name: String,
    pub nbytes: usize,
}

/// The arrays that a namespace holds.
pub(crate) fn known(namespace: &Bound<'_, PyDict>) -> KnownArrays {
    each(namespace)
        .map(|(_, object, address, _)| (object.as_ptr().addr(), address))
        .collect()
}

/// The arrays with memory of their own that were not known. Names that begin with an underscore are IPython's or
/// private.
pub(crate) fn new(namespace: &Bound<'_, PyDict>, known: &KnownArrays) -> Vec<Held> {
    let mut seen = HashSet::new();
    let new = each(namespace).filter_map(|(name, object, address, owns)| {
        let identity = (object.as_ptr().addr(), address);
        if !owns || known.contains(&identity) {
            return None;
        }
        let name = name
            .cast_into::<PyString>()
            .ok()?
            .to_string_lossy()
            .into_owned();
        if name.starts_with('_') || !seen.insert(identity) {
            return None;
        }
        let nbytes = arrays::read(&object).ok()??.layout.listed();
        Some(Held { name, nbytes })
    });
    new.collect()
}

/// The arrays with memory of their own, at most so many: name, first byte, and how many bytes.
pub(crate) fn spans(namespace: &Bound<'_, PyDict>, most: usize) -> Vec<(String, usize, usize)> {
    let span =
        |(name, object, address, owns): (Bound<'_, PyAny>, Bound<'_, PyAny>, usize, bool)| {
            let name = name.cast_into::<PyString>().ok()?;
            let name = name
                .to_str()
                .ok()
                .filter(|name| owns && !name.starts_with('_'))?;
            let length = arrays::read(&object).ok()??.layout.listed();
            Some((name.to_owned(), address, length))
        };
    each(namespace).filter_map(span).take(most).collect()
}

/// Name, array, first byte, and whether the memory is its own.
fn each<'py>(
    namespace: &Bound<'py, PyDict>,
) -> impl Iterator<Item = (Bound<'py, PyAny>, Bound<'py, PyAny>, usize, bool)> {
    let there = arrays::is_imported(namespace.py()).unwrap_or_default();
    let variables = there.then(|| entries(namespace)).into_iter().flatten();
    variables.filter_map(|(name, object)| {
        let (address, owns) = arrays::glance(&object)?;
        Some((name, object, address, owns))
    })
}
