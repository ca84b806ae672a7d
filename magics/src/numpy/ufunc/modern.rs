//! Loops of the newer form: objects that choose their C function themselves, in pairs of (dtypes, loop). The pairs are in
//! a list, from NumPy 2.5 on in a dictionary by dtypes.
//!
//! Neither the pairs nor the object are part of NumPy's public interface. So each field that is read must agree with what
//! is known otherwise, and a loop that does not is not told.

use std::mem::offset_of;

use diaphane_cpython::dicts::entries;
use diaphane_sight::proc::spans::{c_string, int, word};
use numpy::npyffi::{PyUFuncObject, PyUFuncObject_fields, is_numpy_2};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// The last field that the bindings know, then the sizes and flags of core dimensions, the identity and a cache stand
/// before it, each in a word.
const PAIRS: usize = (offset_of!(PyUFuncObject, fields)
    + offset_of!(PyUFuncObject_fields, iter_flags))
.next_multiple_of(align_of::<usize>())
    + 5 * size_of::<usize>();

/// The fields of a loop: a name, the two numbers of operands, casting and flags, then pointers.
const WORD: usize = size_of::<usize>();
const NAME: usize = size_of::<ffi::PyObject>();
const INPUTS: usize = NAME + WORD;
const OUTPUTS: usize = INPUTS + size_of::<i32>();
const STRIDED: usize = NAME + 8 * WORD;

/// The C function of the loop for some dtypes. NumPy 1 has the same list with other loops in it.
pub(super) fn find(
    ufunc: &Bound<'_, PyAny>,
    types: &[Bound<'_, PyAny>],
    inputs: usize,
) -> Option<usize> {
    let classes: Vec<usize> = types
        .iter()
        .map(|dtype| dtype.get_type().as_ptr().addr())
        .collect();
    let outputs = types.len().saturating_sub(inputs);
    let numbers = [i32::try_from(inputs).ok(), i32::try_from(outputs).ok()];
    let pairs = word(ufunc.as_ptr().addr() + PAIRS).filter(|_| is_numpy_2(ufunc.py()))?;
    match as_dict(ufunc.py(), pairs) {
        Some(dict) => entries(&dict)
            .iter()
            .find_map(|(_, pair)| loop_of(pair.as_ptr().addr(), &classes, numbers)),
        None => search(pairs, &classes, numbers),
    }
}

/// The object at an address, if it says that it is a dictionary.
#[allow(
    unsafe_code,
    reason = "a field of NumPy's is a Python object, and no interface leads to it"
)]
fn as_dict(py: Python<'_>, object: usize) -> Option<Bound<'_, PyDict>> {
    let kind = word(object + offset_of!(ffi::PyObject, ob_type))?;
    if kind != (&raw const ffi::PyDict_Type).addr() {
        return None;
    }
    let object = object as *mut ffi::PyObject;
    // SAFETY: the ufunc, which is alive, holds a reference to what this field points at; its type is a dictionary's, so
    // it is a Python object; the GIL is held, so it stays.
    let object = unsafe { Bound::from_borrowed_ptr(py, object) };
    object.cast_into().ok()
}

fn search(list: usize, classes: &[usize], numbers: [Option<i32>; 2]) -> Option<usize> {
    let count = word(list + offset_of!(ffi::PyVarObject, ob_size))?;
    let items = word(list + offset_of!(ffi::PyListObject, ob_item))?;
    let mut pairs = (0..count.min(1000)).filter_map(|index| word(items + index * WORD));
    pairs.find_map(|pair| loop_of(pair, classes, numbers))
}

/// The C function of a pair of dtypes and loop, if the dtypes are those that are wanted.
fn loop_of(pair: usize, classes: &[usize], numbers: [Option<i32>; 2]) -> Option<usize> {
    let item = |tuple: usize, index: usize| {
        word(tuple + offset_of!(ffi::PyTupleObject, ob_item) + index * size_of::<usize>())
    };
    let dtypes = item(pair, 0)?;
    let same = (0..classes.len()).all(|index| item(dtypes, index) == Some(classes[index]));
    let length = word(dtypes + offset_of!(ffi::PyVarObject, ob_size))?;
    let method = item(pair, 1).filter(|_| same && length == classes.len())?;
    let agrees = c_string(word(method + NAME)?).is_some()
        && [int(method + INPUTS), int(method + OUTPUTS)] == numbers;
    word(method + STRIDED).filter(|&code| agrees && code != 0)
}
