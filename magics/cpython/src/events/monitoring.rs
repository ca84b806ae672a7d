//! CPython 3.12 and later: a tool of `sys.monitoring`, which sees all threads.

use std::ffi::CStr;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyFunction;

use super::callables::function_of;
use super::{call_enters, call_leaves, function_enters, function_leaves, is_wanted};
use crate::interrupts::undisturbed;

/// The numbers of tools, those first that have no meaning of their own.
const TOOLS: [u8; 6] = [4, 3, 2, 5, 1, 0];

/// `sys.monitoring.DISABLE`, which lives as long as the interpreter.
static DISABLE: AtomicPtr<ffi::PyObject> = AtomicPtr::new(ptr::null_mut());
/// Whether a place was told to report no more.
static IS_ANY_DISABLED: AtomicBool = AtomicBool::new(false);

/// The tool that is registered.
pub struct MonitoringSource {
    tool: u8,
}

type Callback = unsafe extern "C" fn(
    *mut ffi::PyObject,
    *mut *mut ffi::PyObject,
    ffi::Py_ssize_t,
) -> *mut ffi::PyObject;

/// What is reported, and to whom.
const EVENTS: [(&str, &CStr, Callback); 9] = [
    ("PY_START", c"begins", begins),
    ("PY_RESUME", c"begins", begins),
    ("PY_THROW", c"begins", thrown),
    ("PY_RETURN", c"ends", ends),
    ("PY_YIELD", c"ends", ends),
    ("PY_UNWIND", c"ends", unwound),
    ("CALL", c"calls", calls),
    ("C_RETURN", c"returns", returns),
    ("C_RAISE", c"returns", returns),
];

impl MonitoringSource {
    /// Registers a tool, unless all numbers are taken.
    pub fn begin(py: Python<'_>, limits: &mut Vec<String>) -> PyResult<Option<Self>> {
        let monitoring = py.import("sys")?.getattr("monitoring")?;
        // In the child of a fork the parent's tool is still there, and would report all a second time.
        for tool in TOOLS {
            let user = monitoring.call_method1("get_tool", (tool,))?;
            if user.eq("diaphane")? {
                Self { tool }.end(py);
            }
        }
        let is_free = |tool: &u8| {
            let user = monitoring.call_method1("get_tool", (tool,));
            user.is_ok_and(|user| user.is_none())
        };
        let Some(tool) = TOOLS.into_iter().find(is_free) else {
            limits.push(
                "Python functions are not shown: all tools of sys.monitoring are taken; end a debugger or profiler"
                    .into(),
            );
            return Ok(None);
        };
        monitoring.call_method1("use_tool_id", (tool, "diaphane"))?;
        let source = Self { tool };
        if let Err(error) = source.listen(&monitoring) {
            source.end(py);
            return Err(error);
        }
        Ok(Some(source))
    }

    fn listen(&self, monitoring: &Bound<'_, PyAny>) -> PyResult<()> {
        let disable = monitoring.getattr("DISABLE")?;
        DISABLE.store(disable.as_ptr(), Ordering::Relaxed);
        if IS_ANY_DISABLED.swap(false, Ordering::Relaxed) {
            monitoring.call_method0("restart_events")?;
        }
        let known = monitoring.getattr("events")?;
        let mut wanted = 0;
        for (name, function, callback) in EVENTS {
            let event: i32 = known.getattr(name)?.extract()?;
            let callback = object(monitoring.py(), function, callback)?;
            monitoring.call_method1("register_callback", (self.tool, event, callback))?;
            // The two ends of a call come with it.
            wanted |= if name.starts_with("C_") { 0 } else { event };
        }
        monitoring
            .call_method1("set_events", (self.tool, wanted))
            .map(drop)
    }

    /// Gives the number back, with all that hangs on it.
    pub fn end(self, py: Python<'_>) {
        let end = || {
            let monitoring = py.import("sys")?.getattr("monitoring")?;
            monitoring.call_method1("set_events", (self.tool, 0))?;
            let known = monitoring.getattr("events")?;
            for (name, _, _) in EVENTS {
                let event = known.getattr(name)?;
                monitoring.call_method1("register_callback", (self.tool, event, py.None()))?;
            }
            monitoring.call_method1("free_tool_id", (self.tool,))
        };
        // A tool that somebody else has freed is gone already.
        let _: PyResult<Bound<'_, PyAny>> = undisturbed(py, end);
    }
}

/// A callable of Python's for a callback. Its definition is never freed, and there are nine.
#[allow(unsafe_code, reason = "CPython's C interface")]
fn object<'py>(
    py: Python<'py>,
    name: &'static CStr,
    callback: Callback,
) -> PyResult<Bound<'py, PyAny>> {
    let definition = Box::leak(Box::new(ffi::PyMethodDef {
        ml_name: name.as_ptr(),
        ml_meth: ffi::PyMethodDefPointer {
            PyCFunctionFast: callback,
        },
        ml_flags: ffi::METH_FASTCALL,
        ml_doc: ptr::null(),
    }));
    // SAFETY: the definition lives for ever; the result is a new reference, or null with an exception.
    unsafe {
        let made = ffi::PyCFunction_NewEx(definition, ptr::null_mut(), ptr::null_mut());
        Bound::from_owned_ptr_or_err(py, made)
    }
}

/// The argument of this number, if reports are wanted.
#[allow(unsafe_code, reason = "CPython passes an array")]
unsafe fn argument(
    arguments: *mut *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    number: usize,
) -> Option<*mut ffi::PyObject> {
    let is_there = is_wanted() && number < count.unsigned_abs();
    // SAFETY: the array has `count` entries, as the calling convention says.
    is_there.then(|| unsafe { *arguments.add(number) })
}

#[allow(unsafe_code, reason = "called by CPython")]
unsafe extern "C" fn begins(
    own: *mut ffi::PyObject,
    arguments: *mut *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
) -> *mut ffi::PyObject {
    // SAFETY: what CPython passes is handed on.
    unsafe { thrown(own, arguments, count) };
    again()
}

/// A function goes on by an error, which cannot be disabled at its place.
#[allow(unsafe_code, reason = "called by CPython")]
unsafe extern "C" fn thrown(
    _own: *mut ffi::PyObject,
    arguments: *mut *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
) -> *mut ffi::PyObject {
    // SAFETY: Python passes the code object first.
    if let Some(code) = unsafe { argument(arguments, count, 0) } {
        // SAFETY: Python calls with the GIL held, and the object is alive.
        unsafe { function_enters(Python::assume_attached(), code) };
    }
    none()
}

#[allow(unsafe_code, reason = "called by CPython")]
unsafe extern "C" fn ends(
    own: *mut ffi::PyObject,
    arguments: *mut *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
) -> *mut ffi::PyObject {
    // SAFETY: what CPython passes is handed on.
    unsafe { unwound(own, arguments, count) };
    again()
}

/// A function ends by an error, which cannot be disabled at its place.
#[allow(unsafe_code, reason = "called by CPython")]
unsafe extern "C" fn unwound(
    _own: *mut ffi::PyObject,
    arguments: *mut *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
) -> *mut ffi::PyObject {
    // SAFETY: Python passes the code object first.
    if let Some(code) = unsafe { argument(arguments, count, 0) } {
        // SAFETY: Python calls with the GIL held.
        function_leaves(unsafe { Python::assume_attached() }, code);
    }
    none()
}

#[allow(unsafe_code, reason = "called by CPython")]
unsafe extern "C" fn calls(
    _own: *mut ffi::PyObject,
    arguments: *mut *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
) -> *mut ffi::PyObject {
    // SAFETY: the arguments are handed on, and the GIL is held.
    unsafe { about_call(arguments, count, call_enters) };
    again()
}

#[allow(unsafe_code, reason = "called by CPython")]
unsafe extern "C" fn returns(
    _own: *mut ffi::PyObject,
    arguments: *mut *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
) -> *mut ffi::PyObject {
    // SAFETY: the arguments are handed on, and the GIL is held.
    unsafe { about_call(arguments, count, call_leaves) };
    none()
}

/// Tells of one end of a call, unless it is that of a Python function.
#[allow(unsafe_code, reason = "Python's callbacks pass raw pointers")]
unsafe fn about_call(
    arguments: *mut *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    tell: fn(&Bound<'_, PyAny>),
) {
    // SAFETY: Python passes the callable third.
    if let Some(callable) = unsafe { argument(arguments, count, 2) } {
        // SAFETY: Python calls with the GIL held.
        let py = unsafe { Python::assume_attached() };
        // SAFETY: it is alive.
        let callable = unsafe { Bound::from_borrowed_ptr(py, callable) };
        if !is_python(&callable) {
            tell(&callable);
        }
    }
}

/// Whether it is a Python function, whose own begin and end are reported; also as a method that is bound.
fn is_python(callable: &Bound<'_, PyAny>) -> bool {
    let is_function = |object: &Bound<'_, PyAny>| object.is_instance_of::<PyFunction>();
    is_function(callable) || function_of(callable).is_some_and(|function| is_function(&function))
}

/// What a callback returns that may be called again from the same place, or never more when reports are not wanted.
#[allow(unsafe_code, reason = "CPython's C interface")]
fn again() -> *mut ffi::PyObject {
    let disable = DISABLE.load(Ordering::Relaxed);
    if is_wanted() || disable.is_null() {
        return none();
    }
    IS_ANY_DISABLED.store(true, Ordering::Relaxed);
    // SAFETY: the object lives as long as the interpreter; the callers hold the GIL.
    unsafe { ffi::Py_INCREF(disable) };
    disable
}

/// A new reference to `None`, which callbacks return.
#[allow(unsafe_code, reason = "CPython's C interface")]
fn none() -> *mut ffi::PyObject {
    // SAFETY: the callers hold the GIL.
    unsafe {
        let none = ffi::Py_None();
        ffi::Py_INCREF(none);
        none
    }
}
