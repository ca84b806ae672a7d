//! Where in the user's code a buffer was allocated, as far as somebody took note: `%%buffer_trace`, or `tracemalloc`.

use diaphane_forks::ForkOnce;
use std::ffi::{c_uint, c_void};
use std::mem::transmute;

use pyo3::prelude::*;
use pyo3::types::PyTuple;
use pyo3::{PyTypeInfo, ffi};

use crate::python::ipython::source_line;
use crate::python::objects::text;
use diaphane_cpython::modules::imported;

/// The domain under which NumPy tells `tracemalloc` of its buffers; `np.lib.tracemalloc_domain`.
const NUMPY: c_uint = 389_047;

/// What `tracemalloc` knows while it runs.
pub(crate) struct Tracemalloc<'py> {
    py: Python<'py>,
    is_tracing: bool,
}

impl<'py> Tracemalloc<'py> {
    /// Asks whether it runs; it is never started here.
    pub fn ask(py: Python<'py>) -> PyResult<Self> {
        let is_tracing = match imported(py, "tracemalloc")? {
            Some(module) => module.call_method0("is_tracing")?.extract()?,
            None => false,
        };
        Ok(Self { py, is_tracing })
    }

    /// The place that allocated the memory at an address: the innermost one in a cell, else the innermost one.
    pub fn allocation_line(&self, address: usize) -> PyResult<Option<String>> {
        if !self.is_tracing {
            return Ok(None);
        }
        let Some(frames) = traceback(self.py, address)? else {
            return Ok(None);
        };
        let mut innermost = None;
        for frame in frames.try_iter()? {
            let (file, line): (Bound<'_, PyAny>, u32) = frame?.extract()?;
            let file = text(&file)?;
            let (text, is_cell) = source_line(self.py, &file, line)?;
            if is_cell {
                return Ok(Some(text));
            }
            innermost.get_or_insert(text);
        }
        Ok(innermost)
    }
}

type GetTraceback = unsafe extern "C" fn(c_uint, usize) -> *mut ffi::PyObject;

/// CPython's `_PyTraceMalloc_GetTraceback`, which is exported and in no header.
#[allow(unsafe_code, reason = "a function that no header declares")]
fn get_traceback() -> Option<GetTraceback> {
    static FOUND: ForkOnce<Option<GetTraceback>> = ForkOnce::new();
    *FOUND.get_or_init(|| {
        // SAFETY: the name ends with a zero; looking it up calls nothing.
        let found: *mut c_void =
            unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"_PyTraceMalloc_GetTraceback".as_ptr()) };
        // SAFETY: the function has this signature in CPython 3.6 to 3.14.
        (!found.is_null()).then(|| unsafe { transmute::<*mut c_void, GetTraceback>(found) })
    })
}

#[allow(unsafe_code, reason = "a function that no header declares")]
fn traceback(py: Python<'_>, address: usize) -> PyResult<Option<Bound<'_, PyTuple>>> {
    let Some(get) = get_traceback() else {
        return Ok(None);
    };
    // SAFETY: it takes any number for an address, and returns a new reference, or null with an exception set.
    let found = unsafe { Bound::from_owned_ptr_or_err(py, get(NUMPY, address))? };
    let is_tuple = found.is_instance(&PyTuple::type_object(py))?;
    Ok(is_tuple.then(|| found.cast_into()).transpose()?)
}
