//! CPython 3.11: a profile function for each thread.

use std::ffi::c_int;
use std::ptr;

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyCFunction;

use super::{call_enters, call_leaves, function_enters, function_leaves, is_wanted};
use crate::interrupts::undisturbed;
use crate::modules::imported;

/// The profile functions that are set.
pub struct ProfileSource {
    /// What new threads are given, and what they were given before.
    threads: Option<(Py<PyAny>, Py<PyAny>)>,
}

impl ProfileSource {
    /// Sets them, unless somebody else has set one.
    pub fn begin(py: Python<'_>, limits: &mut Vec<String>) -> PyResult<Option<Self>> {
        let other = py.import("sys")?.call_method0("getprofile")?;
        if !other.is_none() {
            limits.push(
                "Python functions are not shown: a profiler is running (sys.setprofile); end it first"
                    .into(),
            );
            return Ok(None);
        }
        let mut source = Self { threads: None };
        if let Err(error) = source.set(py) {
            source.end(py);
            return Err(error);
        }
        Ok(Some(source))
    }

    fn set(&mut self, py: Python<'_>) -> PyResult<()> {
        if let Some(threading) = imported(py, "threading")? {
            let before = threading.call_method0("getprofile")?;
            if before.is_none() {
                let starter = PyCFunction::new_closure(py, None, None, |_, _| start_here())?;
                let starter = starter.into_any().unbind();
                self.threads = Some((starter.clone_ref(py), before.unbind()));
                threading.call_method1("setprofile", (starter,))?;
            }
        }
        start_here();
        Ok(())
    }

    /// Takes them away from this thread and from those that begin; others do it themselves at their next event.
    ///
    /// One that somebody has set meanwhile stays. Ours has no object of Python's, so that `sys.getprofile` tells none.
    #[allow(unsafe_code, reason = "CPython's C interface")]
    pub fn end(self, py: Python<'_>) {
        // Without the modules there is nothing to take back.
        let _ = undisturbed(py, || {
            if py.import("sys")?.call_method0("getprofile")?.is_none() {
                // SAFETY: the GIL is held, as `py` proves.
                unsafe { ffi::PyEval_SetProfile(None, ptr::null_mut()) };
            }
            let Some((starter, before)) = &self.threads else {
                return Ok(());
            };
            let Some(threading) = imported(py, "threading")? else {
                return Ok(());
            };
            if threading.call_method0("getprofile")?.is(starter) {
                threading.call_method1("setprofile", (before,))?;
            }
            Ok(())
        });
    }
}

/// Sets the function for the calling thread, which holds the GIL.
#[allow(unsafe_code, reason = "CPython's C interface")]
fn start_here() {
    // SAFETY: the caller was called by Python, and `report` has the right signature.
    unsafe { ffi::PyEval_SetProfile(Some(report), ptr::null_mut()) };
}

#[allow(unsafe_code, reason = "called by CPython")]
unsafe extern "C" fn report(
    _own: *mut ffi::PyObject,
    frame: *mut ffi::PyFrameObject,
    what: c_int,
    about: *mut ffi::PyObject,
) -> c_int {
    // SAFETY: Python calls with the GIL held.
    let py = unsafe { Python::assume_attached() };
    if !is_wanted() {
        // SAFETY: as above.
        unsafe { ffi::PyEval_SetProfile(None, ptr::null_mut()) };
        return 0;
    }
    match what {
        ffi::PyTrace_CALL => {
            // SAFETY: Python passes a frame that is alive; the result is a new reference.
            let code = unsafe { ffi::PyFrame_GetCode(frame) }.cast();
            // SAFETY: it is alive until it is given back.
            unsafe { function_enters(py, code) };
            // SAFETY: it is ours.
            unsafe { ffi::Py_DECREF(code) };
        }
        ffi::PyTrace_RETURN => {
            // SAFETY: as above.
            let code = unsafe { ffi::PyFrame_GetCode(frame) }.cast();
            function_leaves(py, code);
            // SAFETY: it is ours.
            unsafe { ffi::Py_DECREF(code) };
        }
        // SAFETY: Python passes the function that it calls.
        ffi::PyTrace_C_CALL => call_enters(&unsafe { Bound::from_borrowed_ptr(py, about) }),
        ffi::PyTrace_C_RETURN | ffi::PyTrace_C_EXCEPTION => {
            // SAFETY: as above.
            call_leaves(&unsafe { Bound::from_borrowed_ptr(py, about) });
        }
        _ => {}
    }
    0
}
