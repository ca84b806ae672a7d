//! Calls a cell so that a fault in it does not end the process.
//!
//! A signal handler moves the thread from the faulting instruction back to the call. The cell's destructors do not run,
//! and a lock that it held stays held, so whoever asked is told that the process should be restarted soon.

#![allow(
    unsafe_code,
    reason = "signals get handlers, which change where a thread goes on"
)]

mod handlers;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::ops::Range;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use diaphane_cell::abi::{Ctx, Entry};
use diaphane_trace::event::Event;
use diaphane_trace::recorder;
use diaphane_trace::sampler::Timer;

use crate::arch;

/// What ended a cell from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Crash {
    /// The signal; `SIGINT` where the user's second interrupt did it.
    pub signal: i32,
    /// The address that could not be used, of a memory fault.
    pub address: usize,
    /// The instruction.
    pub pc: usize,
}

/// The instruction that a signal came to; 0 where this is not known.
pub(crate) fn pc(context: *mut libc::c_void) -> usize {
    arch::fault_recovery::pc(context)
}

/// Set by an interrupt while a cell runs; cells may ask for it.
pub(crate) static INTERRUPTED: AtomicBool = AtomicBool::new(false);
/// How many interrupts there were.
static INTERRUPTS: AtomicU32 = AtomicU32::new(0);

/// What the handler needs of a call. It lies on the stack of the caller.
struct Frame {
    /// The stack pointer to go back to. The assembly writes it.
    stack: usize,
    /// The code of the cell, in which a thread may be stopped.
    code: Range<usize>,
    /// Sends SIGINT to this thread from the second interrupt on, until it is found in that code.
    timer: Option<Timer>,
    /// How often it was looked at since the last interrupt, and not found there.
    missed: u32,
    crash: Option<Crash>,
}

thread_local! {
    /// The call that this thread is in.
    static FRAME: Cell<*mut Frame> = const { Cell::new(ptr::null_mut()) };
}

/// Calls a cell's entry. Its code lies in `code`; with a number a recording learns of the call.
///
/// # Safety
///
/// The entry and its context must fit each other.
pub(crate) unsafe fn call(
    entry: Entry,
    context: *const Ctx,
    code: Range<usize>,
    number: Option<u32>,
) -> Result<u32, Crash> {
    INTERRUPTED.store(false, Ordering::Relaxed);
    INTERRUPTS.store(0, Ordering::Relaxed);
    let mut frame = Frame {
        stack: 0,
        code,
        timer: Timer::new(nix::unistd::gettid().as_raw(), libc::SIGINT, 0).ok(),
        missed: 0,
        crash: None,
    };
    let installed = handlers::install();
    let outer = FRAME.replace(&raw mut frame);
    if let Some(number) = number {
        note(number, (&raw const frame).addr());
    }
    // SAFETY: the caller's promise; the frame outlives the call.
    let status = unsafe { arch::fault_recovery::guarded(&raw mut frame.stack, entry, context) };
    FRAME.set(outer);
    // A signal of the timer's must still meet our handler.
    if let Some(timer) = &frame.timer {
        timer.pause();
    }
    drop(installed);
    match frame.crash {
        Some(crash) => Err(crash),
        None => Ok(status),
    }
}

/// Whether this thread is in a call.
pub(crate) fn is_in_call() -> bool {
    !FRAME.get().is_null()
}

/// Writes down that a function begins, as a hook at its entry would. Whatever it calls has a stack below this one. It has
/// no return address, since calls out of the kernel's own code are not told.
fn note(number: u32, stack: usize) {
    recorder::note(Event {
        id: number,
        stack,
        ..Event::default()
    });
}
