//! How the handler waits: for what the thread that tells has reached, and for the process that reads.

use std::ptr;
use std::sync::atomic::Ordering;

use super::{STAGE, TELL};

/// Waits until the stage is reached, so many milliseconds at the most.
pub(super) fn wait(stage: u32, milliseconds: i64) {
    let end = clock() + milliseconds;
    loop {
        let now = STAGE.load(Ordering::Acquire);
        let left = end - clock();
        if now >= stage || left <= 0 {
            return;
        }
        let time = libc::timespec {
            tv_sec: left / 1000,
            tv_nsec: left % 1000 * 1_000_000,
        };
        // SAFETY: the address is a futex's, and the time is read during the call.
        unsafe {
            libc::syscall(
                libc::SYS_futex,
                STAGE.as_ptr(),
                libc::FUTEX_WAIT,
                now,
                &raw const time,
            )
        };
    }
}

/// Waits for a child, as long as telling may take.
pub(super) fn wait_for(child: i32) {
    let end = clock() + TELL;
    let pause = libc::timespec {
        tv_sec: 0,
        tv_nsec: 5_000_000,
    };
    while clock() < end {
        // SAFETY: nothing is written.
        let ended = unsafe { libc::waitpid(child, ptr::null_mut(), libc::WNOHANG | libc::__WALL) };
        if ended != 0 {
            return;
        }
        // SAFETY: the time is read during the call.
        unsafe { libc::nanosleep(&raw const pause, ptr::null_mut()) };
    }
}

/// Milliseconds of a clock that only goes on.
fn clock() -> i64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: it is written to a structure of our own.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec * 1000 + time.tv_nsec / 1_000_000
}
