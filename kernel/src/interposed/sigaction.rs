//! `sigaction`, by which every library that is loaded later installs its signal handlers, so that none blocks the signal
//! that `%%syscalls` needs on the threads that it records, and that of SIGINT leads to the main thread.

use std::ffi::c_int;

use diaphane_trace::interposition::StandIn;

use crate::sigint;

pub(super) fn stand_in() -> StandIn {
    StandIn {
        name: "sigaction",
        ours: sigaction as *const () as usize,
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
    unsafe { diaphane_magics::install_handler(__sigaction, signal, action, before) }
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
    unsafe { diaphane_magics::install_handler(__sigaction, signal, action, before) }
}

#[allow(unsafe_code, reason = "the C library's own name for its function")]
unsafe extern "C" {
    fn __sigaction(
        signal: c_int,
        action: *const libc::sigaction,
        before: *mut libc::sigaction,
    ) -> c_int;
}
