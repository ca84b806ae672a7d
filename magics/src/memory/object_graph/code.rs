//! What code keeps: the closure and defaults of a function, the variables of a frame, and what these are called.

use std::ptr;

use pyo3::ffi::{self, PyObject};
use pyo3::prelude::*;

use super::bound;
use diaphane_cpython::locals;

/// The fields of code that hold most of its memory.
pub(super) const PARTS_OF_CODE: [&str; 4] =
    ["co_consts", "co_names", "co_linetable", "co_exceptiontable"];

/// The cells of the variables that a function has from the one around it.
#[allow(unsafe_code, reason = "objects are read through CPython's C interface")]
pub(super) fn closure(function: *mut PyObject) -> Vec<*mut PyObject> {
    // SAFETY: it is a function; its closure is a tuple or NULL, and borrowed.
    unsafe {
        let cells = ffi::PyFunction_GetClosure(function);
        if cells.is_null() {
            return Vec::new();
        }
        let count = ffi::PyTuple_GET_SIZE(cells);
        (0..count)
            .map(|place| ffi::PyTuple_GET_ITEM(cells, place))
            .collect()
    }
}

/// What a function keeps under a name that every function has.
#[allow(unsafe_code, reason = "objects are read through CPython's C interface")]
pub(super) fn attributes(function: *mut PyObject) -> Vec<(&'static str, *mut PyObject)> {
    // SAFETY: it is a function; both are borrowed, and NULL where there are none.
    let (defaults, keywords) = unsafe {
        (
            ffi::PyFunction_GetDefaults(function),
            ffi::PyFunction_GetKwDefaults(function),
        )
    };
    let held = [("__defaults__", defaults), ("__kwdefaults__", keywords)];
    held.into_iter()
        .filter(|(_, object)| !object.is_null())
        .collect()
}

/// The variables of a frame with their values; `None` where it is not known how this Python keeps them.
pub(super) fn variables(frame: *mut PyObject) -> Option<Vec<(String, *mut PyObject)>> {
    let values = locals::values(frame.addr())?;
    let pointer = |(name, value)| (name, ptr::with_exposed_provenance_mut(value));
    Some(values.into_iter().map(pointer).collect())
}

/// The variable of a frame that has a value.
pub(super) fn variable(frame: *mut PyObject, value: *mut PyObject) -> Option<String> {
    let held = variables(frame)?;
    let found = held.into_iter().find(|(_, held)| *held == value);
    found.map(|(name, _)| name)
}

/// The variable of a generator or coroutine that has a value.
pub(super) fn variable_of_generator(
    generator: *mut PyObject,
    value: *mut PyObject,
) -> Option<String> {
    let py = here();
    // Each kind has its frame under another name; the frame is made, and stays with the generator.
    let frame = ["gi_frame", "cr_frame", "ag_frame"]
        .into_iter()
        .find_map(|name| bound(py, generator).getattr(name).ok())?;
    variable(frame.as_ptr(), value)
}

/// The name of a variable of a function's closure.
pub(super) fn closure_variable(function: *mut PyObject, number: usize) -> Option<String> {
    let code = bound(here(), function).getattr("__code__").ok()?;
    let names = code.getattr("co_freevars").ok()?;
    names.get_item(number).ok()?.extract().ok()
}

/// The name of the function whose frame it is.
pub(super) fn function_of_frame(frame: *mut PyObject) -> Option<String> {
    let code = bound(here(), frame).getattr("f_code").ok()?;
    code.getattr("co_name").ok()?.extract().ok()
}

/// The graph is walked with the GIL held.
#[allow(unsafe_code, reason = "the walk has plain pointers")]
pub(super) fn here<'py>() -> Python<'py> {
    // SAFETY: as above.
    unsafe { Python::assume_attached() }
}
