//! The end of the process.
#![allow(
    unsafe_code,
    reason = "leaving without C's exit handlers is libc's `_exit`"
)]

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use diaphane_forks::ForkOnce;
use diaphane_sight::crash::black_box;
use diaphane_sight::crash::black_box::End;
use diaphane_sight::crash::folder;

/// Who holds a lock for longer when the process ends has died with it.
pub const DEAD: Duration = Duration::from_millis(50);

/// The folder that goes with the process.
static FOLDER: ForkOnce<PathBuf> = ForkOnce::new();

/// Lets a folder go with this process, also where Python has no time to end by itself.
pub fn take_along(folder: PathBuf) {
    FOLDER.get_or_init(|| folder);
}

/// Leaves at once: no exit handler of C or C++ runs, which another thread might still need.
pub fn now(code: i32) -> ! {
    // Nothing is left behind by a kernel that was asked to end.
    if let Some(own) = black_box::writable() {
        own.set_end(End::Asked);
        if let Some(path) = black_box::path() {
            folder::leave_nothing(path);
        }
        if let Some(folder) = FOLDER.get() {
            let _gone = fs::remove_dir_all(folder);
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
