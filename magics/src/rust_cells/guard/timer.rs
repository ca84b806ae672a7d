//! Sends SIGINT to this thread every millisecond, from the second interrupt on, until the thread is where it can be stopped.

use std::mem::{MaybeUninit, zeroed};
use std::ptr;

use libc::{CLOCK_MONOTONIC, SIGEV_THREAD_ID, SIGINT, itimerspec, sigevent, timer_t, timespec};

const EVERY: timespec = timespec {
    tv_sec: 0,
    tv_nsec: 1_000_000,
};
const NEVER: timespec = timespec {
    tv_sec: 0,
    tv_nsec: 0,
};

/// A timer of this thread, which does not run yet. There is none where the system has no more of them.
pub struct Timer(Option<timer_t>);

impl Timer {
    pub fn new() -> Self {
        // SAFETY: an all-zero structure is a valid one.
        let mut event: sigevent = unsafe { zeroed() };
        event.sigev_notify = SIGEV_THREAD_ID;
        event.sigev_signo = SIGINT;
        // SAFETY: it has no arguments and cannot fail.
        event.sigev_notify_thread_id = unsafe { libc::gettid() };
        let mut timer = MaybeUninit::uninit();
        // SAFETY: both pointers are to structures of this function.
        let failed =
            unsafe { libc::timer_create(CLOCK_MONOTONIC, &raw mut event, timer.as_mut_ptr()) };
        // SAFETY: it is filled if the call succeeds.
        Self((failed == 0).then(|| unsafe { timer.assume_init() }))
    }

    /// Starts it. It may be called in a signal handler.
    pub fn start(&self) {
        self.set(EVERY);
    }

    /// Stops it. It may be called in a signal handler.
    pub fn stop(&self) {
        self.set(NEVER);
    }

    fn set(&self, every: timespec) {
        let when = itimerspec {
            it_interval: every,
            it_value: every,
        };
        if let Some(timer) = self.0 {
            // SAFETY: the timer is ours, and the structure is filled.
            unsafe { libc::timer_settime(timer, 0, &raw const when, ptr::null_mut()) };
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if let Some(timer) = self.0 {
            // SAFETY: the timer is ours, and is not used again.
            unsafe { libc::timer_delete(timer) };
        }
    }
}
