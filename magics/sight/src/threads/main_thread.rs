//! Signals that are for the main thread, though Linux may give them to any other one.

use nix::unistd::{getpid, gettid};

/// Passes a signal on to the main thread, and says whether it did: not where this is that thread. A handler may call it.
///
/// Linux gives a process's signal to another thread while the main one blocks it, or waits for a CPU to handle an earlier
/// one, which recordings send often.
#[must_use]
#[allow(unsafe_code, reason = "tgkill has no safe interface")]
pub fn passed_to_main_thread(signal: i32) -> bool {
    let (process, thread) = (getpid().as_raw(), gettid().as_raw());
    // SAFETY: the call takes numbers and touches no memory.
    process != thread && unsafe { libc::syscall(libc::SYS_tgkill, process, process, signal) } == 0
}
