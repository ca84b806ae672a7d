//! SIGINT reaches the main thread, whichever thread Linux gives it to, and of each signal that Python handles it is known
//! for how long Python has not heard of it.
//!
//! CPython's handler only notes a signal: on another thread it ends no system call that the main thread waits in, nor,
//! before 3.13, a loop that gives the GIL to nobody; and on the main thread it ends none that is about to begin.

use std::ffi::c_int;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use diaphane_sight::threads::passed_to_main_thread;
use nix::unistd::{getpid, gettid};

use crate::notifier::{Notifier, ring};

/// CPython's handler; 0 before Python is there.
static PYTHONS: AtomicUsize = AtomicUsize::new(0);

/// The signals whose handlers in Python say that they are called, as a set of bits.
static FOLLOWED: AtomicU64 = AtomicU64::new(bit(libc::SIGINT));
/// Those among them that CPython has noted, and whose handler has not been called since.
static NOTED: AtomicU64 = AtomicU64::new(0);
/// The number of the latest one that was noted.
static LATEST: AtomicU32 = AtomicU32::new(0);
/// The process, and the descriptor that wakes who looks after what is noted; 0 before somebody does.
static WATCHER: AtomicU64 = AtomicU64::new(0);

/// A signal in a set; none for a number that is no signal.
const fn bit(signal: c_int) -> u64 {
    match signal {
        1..=64 => 1 << (signal - 1),
        _ => 0,
    }
}

/// Says that a handler in Python is about to be set for a signal, which will say that it is called.
pub fn follow(signal: c_int) {
    FOLLOWED.fetch_or(bit(signal), Ordering::Relaxed);
}

/// Learns CPython's handler, which is installed, and leads to it from now on.
#[allow(unsafe_code, reason = "sigaction has no safe interface")]
pub fn lead_to_main_thread() {
    let Some(action) = current(libc::SIGINT) else {
        return;
    };
    PYTHONS.store(action.sa_sigaction, Ordering::Relaxed);
    // SAFETY: it is the action that is installed; the program's own `sigaction` puts our handler in.
    unsafe { libc::sigaction(libc::SIGINT, &raw const action, std::ptr::null_mut()) };
}

/// The action to be installed instead of one that is CPython's for a signal that is followed. Nobody misses the other one: who asks for the
/// handler and puts it back puts back ours.
#[must_use]
pub fn led(signal: c_int, wanted: &libc::sigaction) -> Option<libc::sigaction> {
    let pythons = PYTHONS.load(Ordering::Relaxed);
    let is_followed = FOLLOWED.load(Ordering::Relaxed) & bit(signal) != 0;
    if !is_followed || pythons == 0 || wanted.sa_sigaction != pythons {
        return None;
    }
    let mut led = *wanted;
    led.sa_sigaction = on_signal as *const () as usize;
    Some(led)
}

/// What becomes of a system call that the noted signals end: `SA_RESTART` where Linux begins it again, else 0.
#[must_use]
pub fn calls() -> c_int {
    let noted = NOTED.load(Ordering::Relaxed);
    let all = (1..=64).filter(|&signal| noted & bit(signal) != 0);
    let flags = all.map(|signal| current(signal).map_or(0, |action| action.sa_flags));
    flags.fold(libc::SA_RESTART, |all, one| all & one)
}

/// Rings whenever CPython has noted a signal.
pub fn watch(notifier: &Notifier) {
    let process = u64::from(getpid().as_raw().cast_unsigned());
    let descriptor = u64::from(notifier.as_raw_fd().cast_unsigned());
    WATCHER.store(process << 32 | descriptor, Ordering::Relaxed);
}

/// The latest signal that CPython has noted, by a number of its own, while Python's handler has not heard of some; else 0.
#[must_use]
pub fn noted() -> u32 {
    match NOTED.load(Ordering::Acquire) {
        0 => 0,
        _ => LATEST.load(Ordering::Relaxed).max(1),
    }
}

/// Python's handler is called. A signal that comes from now on is another one; one that came since CPython decided to
/// call is found by the handler's own first look.
pub fn hear(signal: c_int) {
    NOTED.fetch_and(!bit(signal), Ordering::Relaxed);
}

#[allow(unsafe_code, reason = "sigaction has no safe interface")]
fn current(signal: c_int) -> Option<libc::sigaction> {
    // SAFETY: all zeroes is a valid `sigaction`, which the call overwrites.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: it only asks.
    let asked = unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut action) };
    (asked == 0).then_some(action)
}

#[allow(unsafe_code, reason = "a function is known by its address")]
extern "C" fn on_signal(signal: c_int) {
    let is_interrupt = signal == libc::SIGINT;
    if is_interrupt && passed_to_main_thread(signal) {
        return;
    }
    let pythons = PYTHONS.load(Ordering::Relaxed);
    // SAFETY: this handler is installed only where CPython's was, which takes a signal, known before.
    let pythons = unsafe { std::mem::transmute::<usize, extern "C" fn(c_int)>(pythons) };
    pythons(signal);
    // Another signal may be meant for the thread that has it, whose call it has ended.
    if is_interrupt || gettid() == getpid() {
        note(signal);
    }
}

#[allow(unsafe_code, reason = "a descriptor is known by its number")]
fn note(signal: c_int) {
    let watcher = WATCHER.load(Ordering::Relaxed);
    // In the child of a fork nobody watches, and the descriptor may be another file's.
    if watcher >> 32 != u64::from(getpid().as_raw().cast_unsigned()) {
        return;
    }
    // The number first: with the one before, it would count as ended already.
    LATEST.fetch_add(1, Ordering::Relaxed);
    NOTED.fetch_or(bit(signal), Ordering::Release);
    // SAFETY: the kernel's notifiers stay open as long as its process.
    ring(unsafe { BorrowedFd::borrow_raw(watcher as u32 as c_int) });
}
