//! `pthread_create`, through which every library that is loaded later starts its threads, so that `%threads` knows
//! who started which.
//!
//! The dynamic linker looks into the program before it looks into the C library, and `build.rs` exports the name.
//! The work is done by the C library's function; `diaphane_sight::threads::creation_records` keeps the records.

#[path = "arch/pthread_create.rs"]
mod entry;

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicUsize, Ordering};

use diaphane_sight::threads::creation_records;
use diaphane_sight::threads::creation_records::{Create, Start};

/// The C library's function; 0 before the first call.
static REAL: AtomicUsize = AtomicUsize::new(0);

/// Starts a thread, as others call it: only assembly sees the return address.
#[allow(unsafe_code, reason = "the name is C's, and the body is assembly")]
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn pthread_create(
    thread: *mut libc::pthread_t,
    attributes: *const libc::pthread_attr_t,
    start: Start,
    argument: *mut c_void,
) -> c_int {
    std::arch::naked_asm!(entry::pass_on_caller!(), create = sym create)
}

#[allow(unsafe_code, reason = "it stands in for a C function")]
unsafe extern "C" fn create(
    thread: *mut libc::pthread_t,
    attributes: *const libc::pthread_attr_t,
    start: Start,
    argument: *mut c_void,
    caller: usize,
) -> c_int {
    let Some(real) = real() else {
        // What `pthread_create` answers where a thread cannot be started.
        return libc::EAGAIN;
    };
    // SAFETY: the arguments are those of the one who called `pthread_create`.
    unsafe { creation_records::create(real, thread, attributes, start, argument, caller) }
}

/// The next function of this name behind the program's.
#[allow(unsafe_code, reason = "dlsym has no safe interface")]
fn real() -> Option<Create> {
    let mut address = REAL.load(Ordering::Relaxed);
    if address == 0 {
        // SAFETY: the name ends with NUL.
        address = unsafe { libc::dlsym(libc::RTLD_NEXT, c"pthread_create".as_ptr()) }.addr();
        REAL.store(address, Ordering::Relaxed);
    }
    // SAFETY: the C library's `pthread_create` has this type; the start routine may unwind, as it always might.
    (address != 0).then(|| unsafe { std::mem::transmute::<usize, Create>(address) })
}
