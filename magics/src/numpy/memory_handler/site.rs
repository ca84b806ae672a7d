//! Which line of the cell asks for memory: the innermost frame of this thread whose code is the cell's.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyString;

use super::log::Site;

/// A recursion deeper than this hides the line.
const DEEPEST: usize = 500;

/// Looks at this thread's frames; a thread without the GIL has none to look at.
#[allow(unsafe_code, reason = "the frames of this thread")]
pub(crate) fn find(file: &Py<PyString>) -> Site {
    // SAFETY: the question is allowed at any time, and Python is only used if this thread holds the GIL.
    unsafe {
        if ffi::PyGILState_Check() == 0 {
            return Site::default();
        }
        let py = Python::assume_attached();
        // The frames' objects may have to be made; no garbage must be collected for them, since finalizers are Python
        // code and NumPy is in the middle of something.
        let was_on = ffi::PyGC_Disable() != 0;
        let site = walk(py, file.bind(py)).unwrap_or_default();
        if was_on {
            ffi::PyGC_Enable();
        }
        site
    }
}

#[allow(unsafe_code, reason = "the frames of this thread")]
fn walk(py: Python<'_>, file: &Bound<'_, PyString>) -> PyResult<Site> {
    // SAFETY: the frame is borrowed from the thread, or null where no Python code runs.
    let innermost = unsafe { Bound::from_borrowed_ptr_or_opt(py, ffi::PyEval_GetFrame().cast()) };
    let mut frame = innermost;
    let mut through = None;
    for depth in 0..DEEPEST {
        let Some(at) = frame else {
            break;
        };
        // SAFETY: it is a frame; the functions return new references, the second one null at the end.
        let (code, back) = unsafe {
            let raw = at.as_ptr().cast();
            let code = ffi::PyFrame_GetCode(raw).cast();
            let back = ffi::PyFrame_GetBack(raw).cast();
            (
                Bound::from_owned_ptr(py, code),
                Bound::from_owned_ptr_or_opt(py, back),
            )
        };
        if code.getattr("co_filename")?.eq(file)? {
            // SAFETY: as above.
            let line = unsafe { ffi::PyFrame_GetLineNumber(at.as_ptr().cast()) };
            let line = u32::try_from(line).ok();
            return Ok(Site { line, through });
        }
        if depth == 0 {
            through = code.getattr("co_qualname")?.extract().ok();
        }
        frame = back;
    }
    Ok(Site {
        line: None,
        through,
    })
}
