//! `sigaction`, by which every library that is loaded later installs its signal handlers, so that none blocks the signal
//! that `%%syscalls` needs on the threads that it records, none takes away the handler of a signal that a recording may
//! still get, and that of SIGINT leads to the main thread; and `signal`, which does the same.

use std::ffi::c_int;

use diaphane_sight::unwind::handler;
use diaphane_trace::interposition::StandIn;

use crate::sigint;

pub(super) fn stand_in() -> StandIn {
    StandIn {
        name: "sigaction",
        ours: sigaction as *const () as usize,
    }
}

pub(super) fn stand_in_of_signal() -> StandIn {
    StandIn {
        name: "signal",
        ours: signal as *const () as usize,
    }
}

/// In a process of somebody else's, where SIGINT is not ours.
pub(super) fn stand_in_of_guest() -> StandIn {
    StandIn {
        name: "sigaction",
        ours: sigaction_of_guest as *const () as usize,
    }
}

/// Installs a signal handler that does not block what a recording needs.
#[allow(unsafe_code, reason = "it stands in for a C function")]
#[unsafe(link_section = "diaphane_stand_ins")]
unsafe extern "C" fn sigaction_of_guest(
    signal: c_int,
    action: *const libc::sigaction,
    before: *mut libc::sigaction,
) -> c_int {
    // SAFETY: the arguments are those of the one who called `sigaction`.
    unsafe { install(signal, action, before) }
}

/// Installs a signal handler.
#[allow(unsafe_code, reason = "it stands in for a C function")]
#[unsafe(link_section = "diaphane_stand_ins")]
unsafe extern "C" fn sigaction(
    signal: c_int,
    action: *const libc::sigaction,
    before: *mut libc::sigaction,
) -> c_int {
    // SAFETY: it is null, or leads to an action.
    let led = unsafe { action.as_ref() }.and_then(|action| sigint::led(signal, action));
    let action = led.as_ref().map_or(action, std::ptr::from_ref);
    // SAFETY: the arguments are those of the one who called `sigaction`, or an action that is as good.
    unsafe { install(signal, action, before) }
}

/// Installs a handler, but none that would take away one of ours.
///
/// # Safety
/// As for `sigaction`.
#[allow(unsafe_code, reason = "it does what a C function does")]
unsafe fn install(
    signal: c_int,
    action: *const libc::sigaction,
    before: *mut libc::sigaction,
) -> c_int {
    // SAFETY: it is null, or leads to an action.
    let wanted = unsafe { action.as_ref() }.map(|action| action.sa_sigaction);
    if wanted.is_some_and(|wanted| handler::stays(signal, wanted)) {
        // SAFETY: nothing is installed, and `before` is the caller's.
        return unsafe { __sigaction(signal, std::ptr::null(), before) };
    }
    // SAFETY: the caller's promise.
    unsafe { diaphane_magics::install_handler(__sigaction, signal, action, before) }
}

/// Does what `signal` does, but for taking away a handler of ours.
#[allow(unsafe_code, reason = "it stands in for a C function")]
#[unsafe(link_section = "diaphane_stand_ins")]
unsafe extern "C" fn signal(number: c_int, wanted: libc::sighandler_t) -> libc::sighandler_t {
    if handler::stays(number, wanted) {
        return wanted;
    }
    // SAFETY: the arguments are those of the one who called `signal`.
    unsafe { ssignal(number, wanted) }
}

#[allow(unsafe_code, reason = "the C library's own names for its functions")]
unsafe extern "C" {
    fn __sigaction(
        signal: c_int,
        action: *const libc::sigaction,
        before: *mut libc::sigaction,
    ) -> c_int;
    /// Another name of `signal`.
    fn ssignal(number: c_int, handler: libc::sighandler_t) -> libc::sighandler_t;
}
