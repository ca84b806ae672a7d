//! Stops a single thread of another process for as long as it takes to copy its registers and its stack.
//!
//! The thread is seized and interrupted, which sends it no signal and is invisible to its process, and let go again
//! whatever happens; if this program dies, the kernel lets it go.

#![allow(
    unsafe_code,
    reason = "ptrace has no safe form that gives back any signal"
)]

use std::io;
use std::time::{Duration, Instant};

use rustix::process::{Pid, WaitOptions, waitpid};

use super::Missing;
use super::registers::{Registers, of_user};

/// A thread that does not stop within this time sleeps where nothing wakes it.
const TIMEOUT: Duration = Duration::from_millis(200);
/// How long to wait before the next look at whether it has stopped.
const PAUSE: Duration = Duration::from_micros(20);
/// `PTRACE_EVENT_STOP`, above the signal in a wait status.
const EVENT: i32 = 128;

/// A thread that stands still until this value is dropped.
pub(super) struct Stopped {
    thread: Pid,
    since: Instant,
    /// What was just delivered to it when it stopped, and is handed on.
    signal: i32,
    /// Whether it has stopped yet.
    stands: bool,
}

impl Stopped {
    /// Stops a thread.
    pub(super) fn stop(tid: i32) -> Result<Self, Missing> {
        let thread = Pid::from_raw(tid).ok_or(Missing::Gone)?;
        request(libc::PTRACE_SEIZE, thread, 0).map_err(|error| match error.raw_os_error() {
            Some(libc::ESRCH) => Missing::Gone,
            _ => Missing::Forbidden,
        })?;
        let mut stopped = Self {
            thread,
            since: Instant::now(),
            signal: 0,
            stands: false,
        };
        request(libc::PTRACE_INTERRUPT, thread, 0).map_err(|_| Missing::Gone)?;
        stopped.wait()?;
        Ok(stopped)
    }

    fn wait(&mut self) -> Result<(), Missing> {
        let asked = Instant::now();
        // Threads that are no leaders of their process are waited for too.
        let options =
            WaitOptions::NOHANG | WaitOptions::from_bits_retain(libc::__WALL.cast_unsigned());
        loop {
            if let Some((_, status)) =
                waitpid(Some(self.thread), options).map_err(|_| Missing::Gone)?
            {
                let signal = status.stopping_signal().ok_or(Missing::Gone)?;
                let by_us = status.as_raw() >> 16 == EVENT;
                self.signal = if by_us { 0 } else { signal };
                self.stands = true;
                self.since = Instant::now();
                return Ok(());
            }
            if asked.elapsed() > TIMEOUT {
                return Err(Missing::Silent);
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Its registers.
    pub(super) fn registers(&self) -> Option<Registers> {
        // SAFETY: the structure is of numbers alone, for which zeros are values.
        let mut registers: libc::user_regs_struct = unsafe { std::mem::zeroed() };
        let mut place = libc::iovec {
            iov_base: (&raw mut registers).cast(),
            iov_len: size_of_val(&registers),
        };
        // SAFETY: the kernel writes at most as many bytes as `place` says, which are those of `registers`.
        let done = unsafe {
            libc::ptrace(
                libc::PTRACE_GETREGSET,
                self.thread.as_raw_nonzero().get(),
                libc::NT_PRSTATUS,
                &raw mut place,
            )
        };
        (done == 0).then(|| of_user(&registers))
    }

    /// Lets it go, and says how long it stood.
    pub(super) fn resume(self) -> Duration {
        let since = self.since;
        drop(self);
        since.elapsed()
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        if !self.stands {
            // What has not stopped cannot be let go; it may stop just now.
            let _ = self.wait();
        }
        // A thread that ended meanwhile has nothing to be let go from.
        let _ = request(libc::PTRACE_DETACH, self.thread, self.signal);
    }
}

/// A request without an address.
fn request(kind: libc::c_uint, thread: Pid, data: i32) -> io::Result<()> {
    let none = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: none of the requests that are made here reads or writes memory of this process.
    let done = unsafe {
        libc::ptrace(
            kind,
            thread.as_raw_nonzero().get(),
            none,
            libc::c_long::from(data),
        )
    };
    match done {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
