//! The native stacks of other threads, without stopping them.
//!
//! The stack of a thread that sleeps is copied from outside, with nothing known of its registers but two; it counts only
//! if the thread did not run meanwhile. A thread that runs gets a signal, in whose handler it copies its registers and its
//! stack itself; so does one that sleeps and whose stack cannot be followed from two registers, but only in a system call
//! that goes on after a signal. The copies are unwound afterwards, by the call frame
//! information that the libraries carry for exceptions. Threads of another process are stopped instead (`outside`).

mod asleep;
mod code;
pub mod handler;
#[cfg(test)]
mod hostile;
mod kept;
mod machine;
mod other_process;
mod registers;
mod rows;
mod signal;
mod stopped;
mod tables;
mod unwinder;

use serde::Serialize;

use crate::linker::libraries::Library;
use crate::proc::maps::Maps;
use crate::threads::{Task, Thread};

pub use asleep::snapshot as asleep_copy;
pub use handler::{Handler, Unsent, all_but_faults, claim, leave_signals, received, send};
pub use other_process::{Manner, Seen, of_process};
pub use registers::{Registers, interrupted};
pub use signal::{SignalSafeCallback, WORDS};
pub use tables::{Piece, function_start, pieces};
pub use unwinder::Unwinder;

/// How much of a stack is copied at most.
pub const DEPTH: usize = 256 * 1024;

/// One step of a stack: a call that has not returned, the innermost first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The next instruction of this call.
    pub address: usize,
    /// An address in the call's own instruction, by which to look up names.
    pub lookup: usize,
    /// Where the frame of the function ends.
    pub end: usize,
    /// How it was found.
    pub found: Found,
}

/// How a frame was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Found {
    /// By registers and call frame information, or because the call before it is one of the function below it.
    Exact,
    /// What would lead there is unknown; this is the nearest word on the stack that is a return address and from which
    /// all further steps fit, up to the thread's first function.
    Guess,
}

/// A stack, as far as it could be followed.
#[derive(Debug, Clone, Default)]
pub struct Stack {
    /// The frames, the innermost first.
    pub frames: Vec<Frame>,
    /// Whether the last one is the thread's first function.
    pub complete: bool,
    /// What the callback noted on the thread.
    pub noted: Vec<usize>,
    /// Whether the thread got a signal.
    pub signalled: bool,
    /// Whether a part of the way had to be searched for, where call frame information is missing.
    pub searched: bool,
}

/// A copy of what a thread was doing.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The registers, as far as they are known.
    pub registers: Registers,
    /// Where the copy of the stack begins.
    pub start: usize,
    /// The copy.
    pub stack: Vec<u8>,
    /// What the callback noted.
    pub noted: Vec<usize>,
    /// Whether the thread got a signal for it.
    pub signalled: bool,
    /// Nobody wants to know the calls whose frames lie at or above this address.
    pub floor: Option<usize>,
}

impl Snapshot {
    /// Of a thread that was only looked at.
    #[must_use]
    pub fn new(registers: Registers, start: usize, stack: Vec<u8>) -> Self {
        Self {
            registers,
            start,
            stack,
            noted: Vec::new(),
            signalled: false,
            floor: None,
        }
    }

    /// The words of the stack from an address on, each with its place.
    fn words_from(&self, address: usize) -> impl Iterator<Item = (usize, usize)> {
        let from = address.saturating_sub(self.start).min(self.stack.len());
        let (words, _) = self.stack[from..].as_chunks::<{ size_of::<usize>() }>();
        let first = self.start + from;
        let places = (first..).step_by(size_of::<usize>());
        places.zip(words.iter().map(|word| usize::from_ne_bytes(*word)))
    }

    /// A word of the copied stack.
    pub(super) fn word(&self, address: usize) -> Option<usize> {
        let at = address.checked_sub(self.start)?;
        let word = self.stack.get(at..at.checked_add(size_of::<usize>())?)?;
        Some(usize::from_ne_bytes(word.try_into().ok()?))
    }
}

/// Why there is no stack of a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// It blocks the signal, and its sleep could not be followed.
    Blocked,
    /// It did not answer the signal in time.
    Silent,
    /// No signal could be sent.
    Refused,
    /// It ended.
    Gone,
    /// It is the one who asks.
    Asks,
    /// It runs, and nobody allowed to stop it.
    Runs,
    /// It runs, and the kernel forbids to stop it.
    Forbidden,
}

/// Takes the stacks of the threads, in their order.
///
/// The callback runs on each thread that gets a signal; it is given the thread's number in `arguments`.
pub fn stacks(
    threads: &[&Thread],
    libraries: &[Library],
    maps: &Maps,
    callback: Option<SignalSafeCallback<'_>>,
) -> Vec<Result<Stack, Missing>> {
    let mut unwinder = kept::take(libraries);
    let own = rustix::thread::gettid().as_raw_nonzero().get();
    let mut found: Vec<Result<Stack, Missing>> = threads
        .iter()
        .map(|thread| {
            if thread.tid == own {
                return Err(Missing::Asks);
            }
            let stack =
                asleep::snapshot(&Task::new(thread.tid), maps).map(|copy| unwinder.unwind(copy));
            stack.ok_or(Missing::Silent)
        })
        .collect();
    let is_clear = |stack: &Stack| {
        let mut frames = stack.frames.iter();
        stack.complete && frames.all(|frame| frame.found == Found::Exact)
    };
    let unclear: Vec<usize> = (0..threads.len())
        .filter(|&index| match &found[index] {
            // A guess is better than a call of the user's that ends early.
            Ok(stack) => !is_clear(stack) && may_be_signalled(&Task::new(threads[index].tid)),
            Err(missing) => *missing != Missing::Asks,
        })
        .collect();
    let asked: Vec<&Thread> = unclear.iter().map(|&index| threads[index]).collect();
    for (&index, answer) in unclear.iter().zip(signal::snapshots(&asked, callback)) {
        match (answer, &found[index]) {
            (Ok(copy), _) => found[index] = Ok(unwinder.unwind(copy)),
            // A part is better than nothing.
            (Err(_), Ok(_)) => {}
            (Err(missing), Err(_)) => found[index] = Err(missing),
        }
    }
    kept::keep(unwinder);
    found
}

/// Whether a signal changes nothing for a thread that slept a moment ago.
fn may_be_signalled(task: &Task) -> bool {
    task.call().is_none_or(|call| call.is_restarted())
}

/// The stack of a thread that sleeps, without a signal; `None` if it runs.
pub fn asleep(tid: i32, maps: &Maps, unwinder: &mut Unwinder) -> Option<Stack> {
    asleep::snapshot(&Task::new(tid), maps).map(|copy| unwinder.unwind(copy))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;
    use crate::code::symbols;
    use crate::linker::libraries;
    use crate::threads::threads;

    #[inline(never)]
    fn inner_sleep(gate: &Receiver<()>) -> u8 {
        let answer = gate.recv();
        std::hint::black_box(u8::from(answer.is_err()))
    }

    #[inline(never)]
    fn outer_sleep(gate: &Receiver<()>) -> u8 {
        std::hint::black_box(inner_sleep(gate)) + 1
    }

    #[inline(never)]
    fn inner_spin(stop: &AtomicBool, said: &Sender<i32>) -> u8 {
        let mut told = false;
        while !stop.load(Ordering::Relaxed) {
            if !told {
                said.send(rustix::thread::gettid().as_raw_nonzero().get())
                    .unwrap();
                told = true;
            }
            std::hint::spin_loop();
        }
        std::hint::black_box(1)
    }

    #[inline(never)]
    fn outer_spin(stop: &AtomicBool, said: &Sender<i32>) -> u8 {
        std::hint::black_box(inner_spin(stop, said)) + 1
    }

    fn note(argument: usize, words: &mut [usize]) -> usize {
        words[0] = argument;
        words[1] = rustix::thread::gettid().as_raw_nonzero().get() as usize;
        2
    }

    /// The names on a thread's stack, the innermost first, and what was noted.
    fn names(tid: i32) -> Option<(Vec<String>, Stack)> {
        let maps = Maps::read().unwrap();
        let libraries = libraries::loaded(&maps).unwrap();
        let mut found = threads(&libraries, &maps).unwrap().threads;
        found.retain(|thread| thread.tid == tid);
        let argument = |tid| tid as usize + 1;
        let callback = SignalSafeCallback {
            note,
            argument: &argument,
        };
        let found: Vec<&Thread> = found.iter().collect();
        let stack = stacks(&found, &libraries, &maps, Some(callback))
            .pop()?
            .ok()?;
        let name = |frame: &Frame| symbols::place(frame.lookup, &libraries)?.symbol;
        let names = stack
            .frames
            .iter()
            .filter_map(name)
            .map(|symbol| symbol.name);
        Some((names.collect(), stack))
    }

    fn follow(names: &[String], inner: &str, outer: &str) -> bool {
        let place = |part: &str| names.iter().position(|name| name.contains(part));
        place(inner).is_some_and(|inner| place(outer) == Some(inner + 1))
    }

    #[test]
    fn a_sleeping_thread_gets_no_signal() {
        let (open, gate) = channel();
        let (say, said) = channel();
        let worker = std::thread::spawn(move || {
            say.send(rustix::thread::gettid().as_raw_nonzero().get())
                .unwrap();
            outer_sleep(&gate)
        });
        let tid = said.recv().unwrap();
        // The worker says its number before it sleeps.
        let asleep = (0..100_000).find_map(|_| names(tid).filter(|(_, stack)| !stack.signalled));
        let (names, stack) = asleep.unwrap();
        drop(open);
        assert_eq!(worker.join().unwrap(), 2);
        assert!(follow(&names, "inner_sleep", "outer_sleep"), "{names:?}");
        assert!(stack.complete && stack.noted.is_empty());
    }

    #[test]
    fn a_running_thread_copies_itself() {
        let stop = Arc::new(AtomicBool::new(false));
        let (say, said) = channel();
        let flag = Arc::clone(&stop);
        let worker = std::thread::spawn(move || outer_spin(&flag, &say));
        let tid = said.recv().unwrap();
        let found = (0..100).find_map(|_| names(tid));
        stop.store(true, Ordering::Relaxed);
        assert_eq!(worker.join().unwrap(), 2);
        let (names, stack) = found.unwrap();
        assert!(follow(&names, "inner_spin", "outer_spin"), "{names:?}");
        assert!(stack.complete && stack.signalled);
        assert_eq!(stack.noted, [tid as usize + 1, tid as usize]);
    }

    #[test]
    fn a_thread_that_blocked_signals_when_it_was_listed_is_asked_again() {
        let stop = Arc::new(AtomicBool::new(false));
        let (say, said) = channel();
        let flag = Arc::clone(&stop);
        let worker = std::thread::spawn(move || outer_spin(&flag, &say));
        let tid = said.recv().unwrap();
        let maps = Maps::read().unwrap();
        let libraries = libraries::loaded(&maps).unwrap();
        let found = threads(&libraries, &maps).unwrap().threads;
        let mut spins = found.into_iter().find(|one| one.tid == tid).unwrap();
        spins.blocked_signals = Some(u64::MAX);
        let found = (0..100).find_map(|_| stacks(&[&spins], &libraries, &maps, None).pop()?.ok());
        stop.store(true, Ordering::Relaxed);
        worker.join().unwrap();
        assert!(found.is_some());
    }

    #[test]
    fn who_is_gone_or_asks_has_no_stack() {
        let maps = Maps::read().unwrap();
        let libraries = libraries::loaded(&maps).unwrap();
        let found = threads(&libraries, &maps).unwrap().threads;
        let own = rustix::thread::gettid().as_raw_nonzero().get();
        let mut own: Vec<Thread> = found
            .into_iter()
            .filter(|thread| thread.tid == own)
            .collect();
        let missing = |threads: &[Thread]| {
            let threads: Vec<&Thread> = threads.iter().collect();
            stacks(&threads, &libraries, &maps, None)
                .pop()
                .unwrap()
                .unwrap_err()
        };
        assert_eq!(missing(&own), Missing::Asks);
        own[0].tid = i32::MAX;
        assert_eq!(missing(&own), Missing::Gone);
        own[0].blocked_signals = Some(u64::MAX);
        assert_eq!(missing(&own), Missing::Blocked);
    }
}
