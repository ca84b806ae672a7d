//! Signals: they belong to the main thread, where CPython handles them.

use diaphane_sight::unwind::all_but_faults;
use nix::sys::pthread::{Pthread, pthread_kill, pthread_self};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, killpg, raise};
use nix::unistd::{getpgrp, getpid};

/// The main thread, to be interrupted.
#[derive(Clone, Copy)]
pub struct MainThread(Pthread);

impl MainThread {
    /// The calling thread.
    #[must_use]
    pub fn this() -> Self {
        Self(pthread_self())
    }

    /// Interrupts what the main thread does, and the child processes where our process group holds nobody else.
    pub fn interrupt(self) {
        // The leader of a group is its parent's only process there: the signal reaches us and our children. Elsewhere it
        // goes to the main thread alone. Either way it ends the system call that the main thread waits in.
        let sent = if getpgrp() == getpid() {
            killpg(getpgrp(), Signal::SIGINT)
        } else {
            pthread_kill(self.0, Signal::SIGINT)
        };
        if let Err(error) = sent {
            tracing::warn!(%error, "the main thread could not be interrupted");
        }
    }
}

/// Interrupts the calling thread a few instructions later, and no process that has got the interrupt already.
pub fn interrupt_again() {
    if let Err(error) = raise(Signal::SIGINT) {
        tracing::warn!(%error, "the interrupt could not be put off");
    }
}

/// Lets interrupts wait until `take_interrupts`: they would end the process while nothing handles them yet.
pub fn hold_interrupts() {
    change_mask(SigmaskHow::SIG_BLOCK);
}

/// Lets interrupts come, also those that wait.
pub fn take_interrupts() {
    change_mask(SigmaskHow::SIG_UNBLOCK);
}

fn change_mask(how: SigmaskHow) {
    let interrupts: SigSet = Signal::SIGINT.into();
    if let Err(error) = interrupts.thread_swap_mask(how) {
        tracing::warn!(%error, "the signal mask could not be changed");
    }
}

/// Runs something with all signals blocked but those of faults: threads that it starts never get another one.
pub fn with_all_blocked<T>(run: impl FnOnce() -> T) -> T {
    let before = all_but_faults().thread_swap_mask(SigmaskHow::SIG_BLOCK);
    let result = run();
    if let Ok(before) = before
        && let Err(error) = before.thread_set_mask()
    {
        tracing::warn!(%error, "the signal mask could not be restored");
    }
    result
}
