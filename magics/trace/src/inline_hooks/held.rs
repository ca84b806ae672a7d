//! A library that cannot be unloaded, because somebody holds it.

use std::ptr;

use super::library::Ready;

/// One reference to a loaded library, given back when this is dropped.
#[derive(Debug)]
pub(super) struct Held {
    /// The linker's handle.
    handle: usize,
    bias: usize,
}

impl Held {
    /// Takes a reference; `None` if the library is not loaded any more.
    #[allow(unsafe_code, reason = "the linker has no safe interface")]
    pub(super) fn new(ready: &Ready) -> Option<Self> {
        let flags = libc::RTLD_NOLOAD | libc::RTLD_LAZY;
        // SAFETY: the name ends with NUL, and nothing is loaded.
        let handle = unsafe { libc::dlopen(ready.linker_name.as_ptr(), flags) };
        if handle.is_null() {
            return None;
        }
        let held = Self {
            handle: handle.expose_provenance(),
            bias: bias(handle)?,
        };
        // Another library of that name may have come to another place.
        held.is(ready).then_some(held)
    }

    pub(super) fn is(&self, ready: &Ready) -> bool {
        self.bias == ready.bias
    }
}

/// Where the linker has put a library.
#[allow(unsafe_code, reason = "the linker has no safe interface")]
fn bias(handle: *mut libc::c_void) -> Option<usize> {
    let mut entry: *const usize = ptr::null();
    // SAFETY: the handle is the linker's, and the place is for the pointer that it writes.
    let asked = unsafe { libc::dlinfo(handle, libc::RTLD_DI_LINKMAP, (&raw mut entry).cast()) };
    // SAFETY: the first word of a `link_map` is the difference of addresses, as `link.h` says; the library is held.
    (asked == 0 && !entry.is_null()).then(|| unsafe { entry.read() })
}

impl Drop for Held {
    #[allow(unsafe_code, reason = "the linker has no safe interface")]
    fn drop(&mut self) {
        // SAFETY: the reference is our own, and is given back once.
        unsafe { libc::dlclose(ptr::with_exposed_provenance_mut(self.handle)) };
    }
}
