//! SIGINT reaches the main thread, whichever thread Linux gives it to, and it is known for how long Python has not heard
//! of it.
//!
//! CPython's handler only notes the signal: on another thread it ends no system call that the main thread waits in, nor,
//! before 3.13, a loop that gives the GIL to nobody; and on the main thread it ends none that is about to begin.

use std::ffi::c_int;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use diaphane_sight::threads::passed_to_main_thread;
use nix::unistd::getpid;

use crate::notifier::{Notifier, ring};

/// CPython's handler; 0 before Python is there.
static PYTHONS: AtomicUsize = AtomicUsize::new(0);

/// The number of the latest interrupt.
static LATEST: AtomicU32 = AtomicU32::new(0);
/// The interrupt that CPython has noted, and for which Python's handler has not been called; else 0.
static NOTED: AtomicU32 = AtomicU32::new(0);
/// The process, and the descriptor that wakes who looks after what is noted; 0 before somebody does.
static WATCHER: AtomicU64 = AtomicU64::new(0);

/// Learns CPython's handler, which is installed, and leads to it from now on.
#[allow(unsafe_code, reason = "sigaction has no safe interface")]
pub fn lead_to_main_thread() {
    let Some(action) = current() else { return };
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

/// What becomes of a system call that SIGINT ends: `SA_RESTART` where Linux begins it again, else 0.
#[must_use]
pub fn calls() -> c_int {
    current().map_or(0, |action| action.sa_flags & libc::SA_RESTART)
}

/// Rings whenever CPython has noted an interrupt.
pub fn watch(notifier: &Notifier) {
    let process = u64::from(getpid().as_raw().cast_unsigned());
    let descriptor = u64::from(notifier.as_raw_fd().cast_unsigned());
    WATCHER.store(process << 32 | descriptor, Ordering::Relaxed);
}

/// The interrupt that CPython has noted and Python's handler has not heard of, by a number of its own; else 0.
#[must_use]
pub fn noted() -> u32 {
    NOTED.load(Ordering::Relaxed)
}

/// Python's handler is called. One that comes from now on is another interrupt; one that came since CPython decided to
/// call is found by the handler's own first look.
pub fn hear() {
    NOTED.store(0, Ordering::Relaxed);
}

#[allow(unsafe_code, reason = "sigaction has no safe interface")]
fn current() -> Option<libc::sigaction> {
    // SAFETY: all zeroes is a valid `sigaction`, which the call overwrites.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: it only asks.
    let asked = unsafe { libc::sigaction(libc::SIGINT, std::ptr::null(), &raw mut action) };
    (asked == 0).then_some(action)
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
    note();
}

#[allow(unsafe_code, reason = "a descriptor is known by its number")]
fn note() {
    let watcher = WATCHER.load(Ordering::Relaxed);
    // In the child of a fork nobody watches, and the descriptor may be another file's.
    if watcher >> 32 != u64::from(getpid().as_raw().cast_unsigned()) {
        return;
    }
    let number = LATEST.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
    NOTED.store(number, Ordering::Relaxed);
    // SAFETY: the kernel's notifiers stay open as long as its process.
    ring(unsafe { BorrowedFd::borrow_raw(watcher as u32 as c_int) });
}
