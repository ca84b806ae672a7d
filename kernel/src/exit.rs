//! The end of the process.
#![allow(
    unsafe_code,
    reason = "leaving without C's exit handlers is libc's `_exit`"
)]

use std::time::Duration;

use diaphane_sight::crash::black_box;
use diaphane_sight::crash::black_box::End;
use diaphane_sight::crash::folder;

/// Who holds a lock for longer when the process ends has died with it.
pub const DEAD: Duration = Duration::from_millis(50);

/// Leaves at once: no exit handler of C or C++ runs, which another thread might still need.
pub fn now(code: i32) -> ! {
    // Nothing is left behind by a kernel that was asked to end.
    if let Some(own) = black_box::writable() {
        own.set_end(End::Asked);
        if let Some(path) = black_box::path() {
            folder::leave_nothing(path);
        }
    }
    leave(code)
}

/// Leaves without a word.
pub fn leave(code: i32) -> ! {
    loop {
        // SAFETY: the system call has no precondition, and does not return.
        unsafe { libc::syscall(libc::SYS_exit_group, code) };
    }
}
