//! `pthread_create`, through which every library that is loaded later starts its threads, so that `%threads` knows
//! who started which.
//!
//! The work is done by the C library's function; `diaphane_sight::threads::creation_records` keeps the records.

#[path = "../arch/pthread_create.rs"]
mod entry;

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicUsize, Ordering};

use diaphane_sight::threads::creation_records;
use diaphane_sight::threads::creation_records::{Create, Start};
use diaphane_trace::interposition::{NotInterposed, StandIn, original};

/// The C library's function.
static REAL: AtomicUsize = AtomicUsize::new(0);

pub(super) fn stand_in() -> Result<StandIn, NotInterposed> {
    let real = original("pthread_create").ok_or(NotInterposed::Unknown)?;
    let ours = pthread_create as *const () as usize;
    if real != ours {
        REAL.store(real, Ordering::Relaxed);
    }
    Ok(StandIn {
        name: "pthread_create",
        ours,
    })
}

/// Starts a thread, as others call it: only assembly sees the return address.
#[allow(unsafe_code, reason = "the body is assembly")]
#[unsafe(link_section = "diaphane_stand_ins")]
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
#[unsafe(link_section = "diaphane_stand_ins")]
unsafe extern "C" fn create(
    thread: *mut libc::pthread_t,
    attributes: *const libc::pthread_attr_t,
    start: Start,
    argument: *mut c_void,
    caller: usize,
) -> c_int {
    let real = REAL.load(Ordering::Relaxed);
    // SAFETY: it was stored before anybody could call, and has this type; the start routine may unwind, as it always might.
    let real = unsafe { std::mem::transmute::<usize, Create>(real) };
    // SAFETY: the arguments are those of the one who called `pthread_create`.
    unsafe { creation_records::create(real, thread, attributes, start, argument, caller) }
}
