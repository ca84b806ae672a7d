//! SIGINT reaches the main thread, whichever thread Linux gives it to.
//!
//! CPython's handler only notes the signal: on another thread it ends no system call that the main thread waits in, nor,
//! before 3.13, a loop that gives the GIL to nobody.

use std::ffi::c_int;
use std::sync::atomic::{AtomicUsize, Ordering};

use diaphane_sight::threads::passed_to_main_thread;

/// CPython's handler; 0 before Python is there.
static PYTHONS: AtomicUsize = AtomicUsize::new(0);

/// Learns CPython's handler, which is installed, and leads to it from now on.
#[allow(unsafe_code, reason = "sigaction has no safe interface")]
pub fn lead_to_main_thread() {
    // SAFETY: all zeroes is a valid `sigaction`, which the call overwrites.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: it only asks.
    if unsafe { libc::sigaction(libc::SIGINT, std::ptr::null(), &raw mut action) } != 0 {
        return;
    }
    PYTHONS.store(action.sa_sigaction, Ordering::Relaxed);
    // SAFETY: it is the action that is installed; the program's own `sigaction` puts our handler in.
    unsafe { libc::sigaction(libc::SIGINT, &raw const action, std::ptr::null_mut()) };
}

/// The action to be installed instead of one that is CPython's for SIGINT. Nobody misses the other one: who asks for the
/// handler and puts it back puts back ours.
#[must_use]
pub fn led(signal: c_int, wanted: &libc::sigaction) -> Option<libc::sigaction> {
    let pythons = PYTHONS.load(Ordering::Relaxed);
    if signal != libc::SIGINT || pythons == 0 || wanted.sa_sigaction != pythons {
        return None;
    }
    let mut led = *wanted;
    led.sa_sigaction = on_interrupt as *const () as usize;
    Some(led)
}

#[allow(unsafe_code, reason = "a function is known by its address")]
extern "C" fn on_interrupt(signal: c_int) {
    if passed_to_main_thread(signal) {
        return;
    }
    let pythons = PYTHONS.load(Ordering::Relaxed);
    // SAFETY: this handler is installed only where CPython's was, which takes a signal, known before.
    let pythons = unsafe { std::mem::transmute::<usize, extern "C" fn(c_int)>(pythons) };
    pythons(signal);
}
