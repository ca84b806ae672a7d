//! The end of the process.
#![allow(
    unsafe_code,
    reason = "leaving without C's exit handlers is libc's `_exit`"
)]

/// Leaves at once: no exit handler of C or C++ runs, which another thread might still need.
pub fn now(code: i32) -> ! {
    // SAFETY: `_exit` has no precondition.
    unsafe { libc::_exit(code) }
}
