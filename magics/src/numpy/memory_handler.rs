//! A memory handler for NumPy (NEP 49) that passes everything on to the one before it, and takes note.
//!
//! Each array holds a reference to the handler that its memory is from, so that an array which outlives the cell is freed
//! through the same functions. NumPy keeps the handler of the moment in a context variable.

pub(crate) mod log;
pub(crate) mod origins;
pub(crate) mod site;

use parking_lot::{Mutex, MutexGuard};
use std::ffi::{c_char, c_void};
use std::ptr::{self, NonNull};
use std::time::Instant;

use diaphane_trace::event::{Event, kind};
use diaphane_trace::recorder;
use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi::{self, PyObject};
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyCapsuleMethods, PyString};

use crate::numpy::arrays::{Allocator, DataMemHandler, HANDLER};
use crate::numpy::memory_handler::log::{AllocationCall, Log};
use diaphane_cpython::modules::imported;

/// The name under which NumPy shows this handler.
pub(crate) const NAME: &str = "diaphane_trace";

/// The handler with what it needs; NumPy sees its first field.
#[repr(C)]
struct Tracing {
    handler: DataMemHandler,
    inner: Allocator,
    /// Keeps the inner allocator alive.
    _inner: Py<PyAny>,
    /// The code whose lines are noted; without it, events of the recorder are.
    file: Option<Py<PyString>>,
    /// None when the cell has ended.
    log: Mutex<Option<Log>>,
}

/// A handler that is in use as long as this lives.
pub(crate) struct InstalledHandler {
    api: Api,
    /// The capsule around the `Tracing`.
    ours: Py<PyAny>,
    before: Py<PyAny>,
    is_in: bool,
}

#[allow(unsafe_code, reason = "NumPy's handlers are C structs in capsules")]
impl InstalledHandler {
    /// Takes note of what the code of a file allocates from now on, in this context, from so many bytes on.
    pub fn new(py: Python<'_>, file: &Bound<'_, PyString>, least: usize) -> PyResult<Self> {
        Self::install(py, Some(file), Some(Log::new(least)))
    }

    /// Adds what is allocated and freed to the recording that runs.
    pub fn recorded(py: Python<'_>) -> PyResult<Self> {
        Self::install(py, None, None)
    }

    fn install(
        py: Python<'_>,
        file: Option<&Bound<'_, PyString>>,
        log: Option<Log>,
    ) -> PyResult<Self> {
        let api = Api::of_numpy(py)?;
        // SAFETY: the function takes nothing and returns a new reference, or null with an exception set.
        let before = unsafe { Bound::from_owned_ptr_or_err(py, (api.get)())? };
        let inner = before
            .cast::<PyCapsule>()?
            .pointer_checked(Some(HANDLER))?
            .cast::<DataMemHandler>();
        let mut tracing = Box::new(Tracing {
            handler: DataMemHandler {
                name: name(),
                version: 1,
                allocator: Allocator {
                    context: ptr::null_mut(),
                    malloc,
                    calloc,
                    realloc,
                    free,
                },
            },
            // SAFETY: a capsule of this name holds a handler, as long as it lives, and it is held below.
            inner: unsafe { inner.as_ref() }.allocator,
            _inner: before.clone().unbind(),
            file: file.map(|file| file.clone().unbind()),
            log: Mutex::new(log),
        });
        tracing.handler.allocator.context = (&raw mut *tracing).cast();
        // SAFETY: the pointer is not null and stays valid until `forget` is called, at the capsule's end. The name is
        // static.
        let ours = unsafe {
            let tracing = Box::into_raw(tracing);
            Bound::from_owned_ptr_or_err(
                py,
                ffi::PyCapsule_New(tracing.cast(), HANDLER.as_ptr(), Some(forget)),
            )?
        };
        api.set(&ours)?;
        Ok(Self {
            api,
            ours: ours.unbind(),
            before: before.unbind(),
            is_in: true,
        })
    }

    /// Puts the handler before this one back. Whether this one was still there.
    pub fn take_out(&mut self, py: Python<'_>) -> PyResult<bool> {
        if !std::mem::replace(&mut self.is_in, false) {
            return Ok(true);
        }
        // SAFETY: as in `new`.
        let now = unsafe { Bound::from_owned_ptr_or_err(py, (self.api.get)())? };
        if !now.is(self.ours.bind(py)) {
            return Ok(false);
        }
        self.api.set(self.before.bind(py)).map(|()| true)
    }

    /// What was noted; from now on nothing is, except that what `remember` says of a buffer is forgotten at its end.
    pub(crate) fn close(&self, py: Python<'_>) -> PyResult<Log> {
        let pointer = self
            .ours
            .bind(py)
            .cast::<PyCapsule>()?
            .pointer_checked(Some(HANDLER))?
            .cast::<Tracing>();
        // SAFETY: our own capsule holds a `Tracing`, of which only shared references are made.
        let tracing = unsafe { pointer.as_ref() };
        let log = tracing.log().take();
        log.ok_or_else(|| PyRuntimeError::new_err("the trace was closed before"))
    }
}

impl Drop for InstalledHandler {
    fn drop(&mut self) {
        // After an error the cell's handler must not stay; there is nobody to tell if this fails too.
        Python::attach(|py| {
            let _ = self.take_out(py);
            let _ = self.close(py);
        });
    }
}

impl Tracing {
    fn log(&self) -> MutexGuard<'_, Option<Log>> {
        self.log.lock()
    }

    fn allocated(&self, address: *mut c_void, bytes: usize, how: AllocationCall) {
        let Some(file) = &self.file else {
            note(kind::ALLOCATED, address, bytes);
            return;
        };
        let began = Instant::now();
        let is_wanted = |log: &mut Log| log.wants(bytes);
        if address.is_null() || !self.log().as_mut().is_some_and(is_wanted) {
            return;
        }
        // Not with the lock held: this may wait for nothing that another thread holds.
        let site = site::find(file);
        if let Some(log) = self.log().as_mut() {
            log.allocated(address.addr(), bytes, how, site);
            log.spent += began.elapsed();
        }
    }

    fn death(&self, address: *mut c_void) {
        if self.file.is_none() {
            note(kind::FREED, address, 0);
        }
        match self.log().as_mut() {
            Some(log) => log.death(address.addr()),
            None => crate::numpy::memory_handler::origins::forget(address.addr()),
        }
    }
}

/// Appends an event to the recording, if one runs.
fn note(id: u32, address: *mut c_void, bytes: usize) {
    recorder::note(Event {
        id,
        stack: address.addr(),
        back: bytes,
        ..Event::default()
    });
}

/// The `Tracing` behind the context that NumPy hands to each function.
#[allow(unsafe_code, reason = "NumPy gives back the pointer that it was given")]
unsafe fn tracing<'a>(context: *mut c_void) -> &'a Tracing {
    // SAFETY: it is the pointer of `new`; whoever calls holds the capsule, and only shared references are made.
    unsafe { &*context.cast::<Tracing>() }
}

#[allow(unsafe_code, reason = "NumPy calls it")]
unsafe extern "C" fn malloc(context: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: NumPy's own arguments, passed on to the handler before.
    unsafe {
        let tracing = tracing(context);
        let address = (tracing.inner.malloc)(tracing.inner.context, size);
        tracing.allocated(address, size, AllocationCall::Malloc);
        address
    }
}

#[allow(unsafe_code, reason = "NumPy calls it")]
unsafe extern "C" fn calloc(context: *mut c_void, count: usize, size: usize) -> *mut c_void {
    // SAFETY: as in `malloc`.
    unsafe {
        let tracing = tracing(context);
        let address = (tracing.inner.calloc)(tracing.inner.context, count, size);
        tracing.allocated(address, count.saturating_mul(size), AllocationCall::Calloc);
        address
    }
}

#[allow(unsafe_code, reason = "NumPy calls it")]
unsafe extern "C" fn realloc(
    context: *mut c_void,
    address: *mut c_void,
    size: usize,
) -> *mut c_void {
    // SAFETY: as in `malloc`.
    unsafe {
        let tracing = tracing(context);
        // The end is noted first: as soon as the memory is free, another thread can get the same address.
        tracing.death(address);
        let moved = (tracing.inner.realloc)(tracing.inner.context, address, size);
        // After a failure the old buffer lives on, and is as good as new.
        let alive = if moved.is_null() { address } else { moved };
        tracing.allocated(alive, size, AllocationCall::Realloc);
        moved
    }
}

#[allow(unsafe_code, reason = "NumPy calls it")]
unsafe extern "C" fn free(context: *mut c_void, address: *mut c_void, size: usize) {
    // SAFETY: as in `malloc`.
    unsafe {
        let tracing = tracing(context);
        tracing.death(address);
        (tracing.inner.free)(tracing.inner.context, address, size);
    }
}

/// The end of the capsule: no array uses the handler any more.
#[allow(unsafe_code, reason = "CPython calls it")]
unsafe extern "C" fn forget(capsule: *mut PyObject) {
    // SAFETY: the capsule holds the pointer of `new`, which nobody else frees. The GIL is held, as the fields need.
    unsafe {
        let pointer = ffi::PyCapsule_GetPointer(capsule, HANDLER.as_ptr());
        if let Some(pointer) = NonNull::new(pointer.cast::<Tracing>()) {
            drop(Box::from_raw(pointer.as_ptr()));
        }
    }
}

fn name() -> [c_char; 127] {
    let mut name = [0; 127];
    for (to, from) in name.iter_mut().zip(NAME.bytes()) {
        *to = from.cast_signed() as c_char;
    }
    name
}

/// The two functions of NumPy's C interface that get and set the handler.
#[derive(Clone, Copy)]
struct Api {
    get: unsafe extern "C" fn() -> *mut PyObject,
    set: unsafe extern "C" fn(*mut PyObject) -> *mut PyObject,
}

#[allow(unsafe_code, reason = "NumPy's C interface is a table of pointers")]
impl Api {
    /// Their places in the table, which NumPy never changes; since 1.22, older than any for Python 3.11.
    const SET: usize = 304;
    const GET: usize = 305;

    fn of_numpy(py: Python<'_>) -> PyResult<Self> {
        let module = match imported(py, "numpy._core.multiarray")? {
            Some(module) => Some(module),
            None => imported(py, "numpy.core.multiarray")?,
        };
        let module = module.ok_or_else(|| PyRuntimeError::new_err("NumPy is not imported"))?;
        let capsule = module.getattr("_ARRAY_API")?.cast_into::<PyCapsule>()?;
        let table = capsule.pointer_checked(None)?.cast::<*const c_void>();
        // SAFETY: NumPy's table is static and has these two functions, with these signatures, at these places.
        unsafe {
            Ok(Self {
                set: std::mem::transmute::<
                    *const c_void,
                    unsafe extern "C" fn(*mut PyObject) -> *mut PyObject,
                >(*table.add(Self::SET).as_ptr()),
                get: std::mem::transmute::<*const c_void, unsafe extern "C" fn() -> *mut PyObject>(
                    *table.add(Self::GET).as_ptr(),
                ),
            })
        }
    }

    fn set(self, handler: &Bound<'_, PyAny>) -> PyResult<()> {
        // SAFETY: the handler is a capsule of the right name; what it replaces is a new reference, or null with an
        // exception set.
        unsafe {
            Bound::from_owned_ptr_or_err(handler.py(), (self.set)(handler.as_ptr())).map(drop)
        }
    }
}
