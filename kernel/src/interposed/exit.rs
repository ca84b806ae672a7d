//! `_exit`, through which libraries end the process at once, and C's `exit`: what was written before is sent, and the
//! user is told who ended the kernel.

use std::ffi::{c_int, c_void};

use diaphane_sight::crash::handler::on_exit as tell;
use diaphane_trace::interposition::StandIn;

use crate::exit::leave;

pub(super) fn stand_in() -> StandIn {
    StandIn {
        name: "_exit",
        ours: _exit as *const () as usize,
    }
}

/// Ends the process.
#[allow(unsafe_code, reason = "a function is put into a section")]
#[unsafe(link_section = "diaphane_stand_ins")]
extern "C" fn _exit(status: c_int) -> ! {
    tell(status);
    leave(status)
}

#[allow(unsafe_code, reason = "a function of the C library's")]
unsafe extern "C" {
    fn on_exit(function: extern "C" fn(c_int, *mut c_void), argument: *mut c_void) -> c_int;
}

/// Listens to `exit`.
#[allow(unsafe_code, reason = "a function of the C library's")]
pub(super) fn listen() {
    extern "C" fn ended(status: c_int, _: *mut c_void) {
        tell(status);
    }
    // SAFETY: the function may be called at any exit, with any status.
    unsafe { on_exit(ended, std::ptr::null_mut()) };
}
