//! A signal that nobody else uses, with a handler of ours.
//!
//! The handler stays installed, since a late signal would end the process without it.

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicI32, Ordering};

/// What runs when the signal comes.
pub type Handler = unsafe extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);

/// The signal with this handler, which is installed where that was not done yet or somebody replaced it; `None` where
/// every real-time signal has an owner. `known` remembers the signal, and begins as 0.
///
/// The handler must be safe in a signal handler.
#[allow(unsafe_code, reason = "sigaction has no safe interface")]
pub fn claim(known: &AtomicI32, handler: Handler) -> Option<c_int> {
    let current = |signal| {
        // SAFETY: all zeroes is a valid `sigaction`, which the call overwrites.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        // SAFETY: nothing is installed, and `action` is writable.
        let asked = unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut action) };
        (asked == 0).then_some(action.sa_sigaction)
    };
    let ours = handler as *const () as usize;
    let before = known.load(Ordering::Relaxed);
    if before != 0 && current(before) == Some(ours) {
        return Some(before);
    }
    // From the last one, since other programs count from the first.
    let mut signals = (libc::SIGRTMIN()..=libc::SIGRTMAX()).rev();
    let free = signals.find(|&signal| current(signal) == Some(libc::SIG_DFL))?;
    // SAFETY: all zeroes is a valid `sigaction`.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = ours;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART | libc::SA_ONSTACK;
    // SAFETY: the set is writable.
    unsafe { libc::sigfillset(&raw mut action.sa_mask) };
    // SAFETY: `handler` has the signature that SA_SIGINFO asks for.
    let installed = unsafe { libc::sigaction(free, &raw const action, std::ptr::null_mut()) } == 0;
    known.store(if installed { free } else { 0 }, Ordering::Relaxed);
    installed.then_some(free)
}
