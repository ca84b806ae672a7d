//! Handlers that are installed by threads whose calls are not dispatched: they may run on one whose calls are, and block
//! SIGSYS there, which would end the process at the next call.

#![allow(unsafe_code, reason = "it stands in for a C function")]

use std::ffi::c_int;
use std::sync::atomic::{AtomicUsize, Ordering};

use libc::{SIGSYS, sigaction, sigaddset, sigdelset, sigismember};

use super::ACTIVE;
use super::asm::{call, own};
use super::masks::STRIPPED;
use crate::syscalls::Install;

/// How many threads are about to install a handler, and have not looked whether somebody records.
static ABOUT_TO: AtomicUsize = AtomicUsize::new(0);
/// So often is looked whether they are through; a handler that jumped out of one would keep it there for ever.
const LOOKS: usize = 10_000;

/// Waits until no thread installs a handler that began before this recording did.
pub(super) fn settle() {
    for _ in 0..LOOKS {
        if ABOUT_TO.load(Ordering::SeqCst) == 0 {
            return;
        }
        call(libc::SYS_sched_yield, [0; 6]);
    }
}

/// In a forked child there is one thread.
pub(super) fn forget_others() {
    ABOUT_TO.store(0, Ordering::SeqCst);
}

/// Does what `sigaction` does, for a program whose libraries find this function in its place: while system calls are
/// recorded, no handler blocks SIGSYS; the program sees what it asked for.
///
/// # Safety
/// As for `sigaction`.
pub unsafe fn install_handler(
    install: Install,
    signal: c_int,
    action: *const sigaction,
    before: *mut sigaction,
) -> c_int {
    ABOUT_TO.fetch_add(1, Ordering::SeqCst);
    let is_recorded = ACTIVE.load(Ordering::SeqCst) != 0;
    // A call that is dispatched is seen to there.
    let is_dispatched = !own().state.load(Ordering::Relaxed).is_null();
    let result = if is_recorded && !is_dispatched {
        // SAFETY: the caller's promise.
        unsafe { install_open(install, signal, action, before) }
    } else {
        // SAFETY: the caller's promise.
        unsafe { install(signal, action, before) }
    };
    ABOUT_TO.fetch_sub(1, Ordering::SeqCst);
    result
}

/// Installs a handler that leaves SIGSYS open.
unsafe fn install_open(
    install: Install,
    signal: c_int,
    action: *const sigaction,
    before: *mut sigaction,
) -> c_int {
    // SAFETY: it is null, or leads to an action.
    let mut wanted = unsafe { action.as_ref() }.copied();
    let blocks = wanted.as_mut().map(|wanted| {
        // SAFETY: the set is one.
        let blocks = unsafe { sigismember(&raw const wanted.sa_mask, SIGSYS) } == 1;
        // SAFETY: as above.
        unsafe { sigdelset(&raw mut wanted.sa_mask, SIGSYS) };
        blocks
    });
    let wanted = wanted.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    let bit = 1_u64 << (signal.wrapping_sub(1) & 63);
    let was_stripped = STRIPPED.load(Ordering::Relaxed) & bit != 0;
    // SAFETY: the caller's promise, with a copy of its action.
    let result = unsafe { install(signal, wanted, before) };
    if result != 0 {
        return result;
    }
    match blocks {
        Some(true) => drop(STRIPPED.fetch_or(bit, Ordering::Relaxed)),
        Some(false) => drop(STRIPPED.fetch_and(!bit, Ordering::Relaxed)),
        None => {}
    }
    // SAFETY: it is null, or the C library has just written an action there.
    if let Some(before) = unsafe { before.as_mut() }
        && was_stripped
    {
        // SAFETY: the set is one.
        unsafe { sigaddset(&raw mut before.sa_mask, SIGSYS) };
    }
    result
}
