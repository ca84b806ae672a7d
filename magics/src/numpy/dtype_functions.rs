//! The table of C functions that each NumPy dtype has: comparing, sorting, finding the largest item.
//!
//! NumPy 2 keeps the table where only its own function finds it; that function is called, and reads one pointer.

use std::mem::offset_of;

use diaphane_sight::proc::spans::word;
use numpy::npyffi::{PyArray_ArrFuncs, PyArray_DescrProto, is_numpy_2};
use pyo3::ffi::PyObject;
use pyo3::prelude::*;

use diaphane_cpython::modules::imported;

/// The place of `_PyDataType_GetArrFuncs` in the table of NumPy's C interface, from 2.0 on.
const GET_FUNCTIONS: usize = 365;

/// The entry of a name in the table of a dtype; for sorting, the default kind.
pub(crate) fn entry(dtype: &Bound<'_, PyAny>, name: &str) -> PyResult<Option<usize>> {
    let offset = match name {
        "argmax" => offset_of!(PyArray_ArrFuncs, argmax),
        "argmin" => offset_of!(PyArray_ArrFuncs, argmin),
        "sort" => offset_of!(PyArray_ArrFuncs, sort),
        "argsort" => offset_of!(PyArray_ArrFuncs, argsort),
        _ => return Ok(None),
    };
    let code = table(dtype)?.and_then(|table| word(table + offset));
    Ok(code.filter(|&code| code != 0))
}

fn table(dtype: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
    let py = dtype.py();
    if !is_numpy_2(py) {
        return Ok(word(
            dtype.as_ptr().addr() + offset_of!(PyArray_DescrProto, f),
        ));
    }
    let Some(numpy) = imported(py, "numpy._core._multiarray_umath")? else {
        return Ok(None);
    };
    // The first field of a capsule is its pointer.
    let interface = numpy.getattr("_ARRAY_API")?.as_ptr().addr() + size_of::<PyObject>();
    let get = word(interface).and_then(|table| word(table + GET_FUNCTIONS * size_of::<usize>()));
    Ok(get.filter(|&get| get != 0).map(|get| call(get, dtype)))
}

#[allow(
    unsafe_code,
    reason = "NumPy's own function is the only one that knows where it keeps the table"
)]
fn call(get: usize, dtype: &Bound<'_, PyAny>) -> usize {
    type GetFunctions = extern "C" fn(*mut PyObject) -> *const PyArray_ArrFuncs;
    // SAFETY: NumPy 2 puts a function of this type at this place of its interface, which is stable; it takes a live
    // dtype, which we hold together with the GIL, and gives back the address of its table.
    let get = unsafe {
        std::mem::transmute::<*const (), GetFunctions>(std::ptr::with_exposed_provenance(get))
    };
    get(dtype.as_ptr()).addr()
}
