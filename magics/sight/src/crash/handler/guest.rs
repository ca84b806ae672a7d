//! The same in a process of somebody else's: a fault is told first, and then goes to whom it belongs.
//!
//! A signal for which the host has a handler is left to it: a runtime may find null by its fault, and go on.
#![allow(unsafe_code, reason = "signals get handlers")]

use std::ffi::c_int;
use std::ptr;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use libc::{SIG_DFL, SIG_IGN, sigaction};

use super::{SIGNALS, alternate_stack, former, install_one, on_fault};

const NOBODY: u32 = 0;
const HERE: u32 = 1;
const LEFT: u32 = 2;

/// Whether a guest is in this process.
static GUEST: AtomicU32 = AtomicU32::new(NOBODY);
/// The host's handlers of the signals that are left to it; 0 where none is.
static OTHERS: [AtomicUsize; SIGNALS.len()] = [const { AtomicUsize::new(0) }; SIGNALS.len()];

/// Installs the handlers of the signals that end the process now, and of those whose handler only tells of the end: as
/// `only_tells` says of a signal and its handler.
pub fn install(only_tells: impl Fn(c_int, usize) -> bool) {
    alternate_stack::begin();
    for (number, signal) in SIGNALS.into_iter().enumerate() {
        let handler = now(signal).sa_sigaction;
        let is_free = handler == SIG_DFL || only_tells(signal, handler);
        if is_free && handler != ours() {
            install_one(number);
        }
        let other = if is_free || handler == ours() {
            0
        } else {
            handler
        };
        OTHERS[number].store(other, Ordering::Relaxed);
    }
    GUEST.store(HERE, Ordering::Release);
}

/// Gives the signals back. Where somebody has put a handler in front of ours since, ours stays and only hands on.
pub fn uninstall() {
    GUEST.store(LEFT, Ordering::Release);
    for signal in SIGNALS {
        let former = former(signal).filter(|_| now(signal).sa_sigaction == ours());
        if let Some(former) = former {
            // SAFETY: it is what was there before.
            unsafe { libc::sigaction(signal, &raw const former, ptr::null_mut()) };
        }
    }
}

/// The signals that are left to the host, with its handlers; nothing where no guest tells of faults.
pub fn left_to_others() -> Option<Vec<(c_int, usize)>> {
    let others = || {
        let all = SIGNALS.into_iter().zip(&OTHERS);
        let with = all.map(|(signal, other)| (signal, other.load(Ordering::Relaxed)));
        with.filter(|(_, other)| *other != 0 && *other != SIG_IGN)
            .collect()
    };
    (GUEST.load(Ordering::Acquire) == HERE).then(others)
}

/// Whether the process is, or was, a guest's host.
pub(super) fn is_guest() -> bool {
    GUEST.load(Ordering::Acquire) != NOBODY
}

/// Whether the guest has gone again.
pub(super) fn has_left() -> bool {
    GUEST.load(Ordering::Acquire) == LEFT
}

fn ours() -> usize {
    on_fault as *const () as usize
}

fn now(signal: c_int) -> sigaction {
    // SAFETY: an all-zero structure is a valid one.
    let mut action: sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: it only asks.
    unsafe { libc::sigaction(signal, ptr::null(), &raw mut action) };
    action
}
