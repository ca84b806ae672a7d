//! Timers that signal one thread, and the clock of a thread's time on a CPU.

use std::ffi::c_int;
use std::time::Duration;

/// A timer, which is deleted with its value.
pub struct Timer(libc::timer_t);

// SAFETY: the value is a number for the kernel, and no memory of a thread's.
#[allow(unsafe_code, reason = "the C type is a pointer")]
unsafe impl Send for Timer {}

impl Timer {
    /// A timer that will send the signal with the value to the thread.
    ///
    /// # Errors
    /// If the system has no more of them.
    #[allow(unsafe_code, reason = "POSIX timers have no safe interface")]
    pub fn new(tid: i32, signal: c_int, value: usize) -> std::io::Result<Self> {
        // SAFETY: all zeroes is a valid `sigevent`.
        let mut event: libc::sigevent = unsafe { std::mem::zeroed() };
        event.sigev_notify = libc::SIGEV_THREAD_ID;
        event.sigev_notify_thread_id = tid;
        event.sigev_signo = signal;
        event.sigev_value.sival_ptr = value as *mut libc::c_void;
        let mut timer: libc::timer_t = std::ptr::null_mut();
        // SAFETY: both point to values of ours for the length of the call.
        let made =
            unsafe { libc::timer_create(libc::CLOCK_MONOTONIC, &raw mut event, &raw mut timer) };
        match made {
            0 => Ok(Self(timer)),
            _ => Err(std::io::Error::last_os_error()),
        }
    }

    /// Fires after `first`, and then in each period. It may be called in a signal handler.
    pub fn start(&self, first: Duration, period: Duration) {
        self.set(first, period);
    }

    /// Fires no more. It may be called in a signal handler.
    pub fn pause(&self) {
        self.set(Duration::ZERO, Duration::ZERO);
    }

    #[allow(unsafe_code, reason = "POSIX timers have no safe interface")]
    fn set(&self, first: Duration, period: Duration) {
        let time = |duration: Duration| libc::timespec {
            tv_sec: duration.as_secs().cast_signed(),
            tv_nsec: duration.subsec_nanos().into(),
        };
        let setting = libc::itimerspec {
            it_interval: time(period),
            it_value: time(first),
        };
        // SAFETY: the timer is ours, and the setting is read only.
        unsafe { libc::timer_settime(self.0, 0, &raw const setting, std::ptr::null_mut()) };
    }
}

impl Drop for Timer {
    #[allow(unsafe_code, reason = "POSIX timers have no safe interface")]
    fn drop(&mut self) {
        // SAFETY: the timer is ours, and nobody uses it afterwards.
        unsafe { libc::timer_delete(self.0) };
    }
}

/// The time that the calling thread has spent on a CPU, in nanoseconds. It is safe in a signal handler.
pub(super) fn own_cpu() -> u64 {
    read(libc::CLOCK_THREAD_CPUTIME_ID).unwrap_or(0)
}

/// The same of any thread of this process; `None` where it has ended.
pub(super) fn cpu(tid: i32) -> Option<u64> {
    /// A clock by the thread's number: of one thread, and of what the scheduler has counted.
    const OF_A_THREAD: i32 = 4 | 2;
    read(!tid << 3 | OF_A_THREAD)
}

/// A clock that only goes on, in nanoseconds. It is safe in a signal handler.
pub(super) fn clock() -> u64 {
    read(libc::CLOCK_MONOTONIC).unwrap_or(0)
}

#[allow(unsafe_code, reason = "a clock by number has no safe interface")]
fn read(clock: libc::clockid_t) -> Option<u64> {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is writable; an unknown clock is an error.
    let read = unsafe { libc::clock_gettime(clock, &raw mut time) };
    (read == 0).then(|| time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}
