//! Copies the stack of a thread by a signal, in whose handler the thread does it itself.
//!
//! The handler takes no lock and allocates nothing: it claims the slot that the signal names, copies registers and stack
//! into it through the kernel, and says that it is done. A signal that comes too late finds the slot closed.
//! The handler stays installed, since a late signal would end the process without it.

use std::cell::UnsafeCell;
use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::handler::{Unsent, claim, received, send};
use super::registers::interrupted;
use super::{DEPTH, Missing, Registers, Snapshot};
use crate::proc::spans;
use crate::threads::{Task, Thread};
use diaphane_forks::ProcessLock;

/// How many words a callback may note.
pub const WORDS: usize = 4096;
/// How many threads are asked at once.
const SLOTS: usize = 32;
/// A thread that runs answers within microseconds, one that waits for a CPU within milliseconds.
const TIMEOUT: Duration = Duration::from_millis(100);

/// What a thread notes about itself in the handler: `note` gets the thread's argument and room for words, and says how
/// many it wrote. It must be safe in a signal handler.
#[derive(Clone, Copy)]
pub struct SignalSafeCallback<'a> {
    /// What runs on the thread.
    pub note: fn(usize, &mut [usize]) -> usize,
    /// What it is given on the thread with this number.
    pub argument: &'a (dyn Fn(i32) -> usize + Sync),
}

/// The phases of a slot, in the lowest bits of its state; the rest counts how often it was opened.
mod phase {
    pub(super) const CLOSED: u64 = 0;
    pub(super) const OPEN: u64 = 1;
    pub(super) const BUSY: u64 = 2;
    pub(super) const DONE: u64 = 3;
    pub(super) const MASK: u64 = 3;
}

struct Slot {
    state: AtomicU64,
    copy: UnsafeCell<Copied>,
}

/// What the handler writes.
struct Copied {
    note: Option<fn(usize, &mut [usize]) -> usize>,
    argument: usize,
    registers: Registers,
    stack: Vec<u8>,
    length: usize,
    words: [usize; WORDS],
    noted: usize,
}

// SAFETY: `copy` belongs to whom `state` says: to the holder of `ASKING` while closed or done, to the handler that moved
// it from open to busy until that says done.
#[allow(unsafe_code, reason = "the state says who may touch the copy")]
unsafe impl Sync for Slot {}

static TABLE: [Slot; SLOTS] = [const { Slot::new() }; SLOTS];
static ASKING: ProcessLock<()> = ProcessLock::new(|| ());
/// The signal that is ours; 0 before the first question.
static SIGNAL: AtomicI32 = AtomicI32::new(0);

/// Asks threads for their stacks; the answers are in their order.
pub(super) fn snapshots(
    threads: &[&Thread],
    callback: Option<SignalSafeCallback<'_>>,
) -> Vec<Result<Snapshot, Missing>> {
    let _alone = ASKING.lock();
    let Some(signal) = claim(&SIGNAL, handle, libc::SA_RESTART) else {
        return threads.iter().map(|_| Err(Missing::Refused)).collect();
    };
    let ask = |group: &[&Thread]| {
        let opened: Vec<Result<u64, Missing>> = group
            .iter()
            .zip(&TABLE)
            .enumerate()
            .map(|(index, (thread, slot))| slot.ask(index, thread, signal, callback))
            .collect();
        let deadline = Instant::now() + TIMEOUT;
        let answers = opened.into_iter().zip(&TABLE);
        answers
            .map(|(count, slot)| slot.answer(count?, deadline))
            .collect::<Vec<_>>()
    };
    threads.chunks(SLOTS).flat_map(ask).collect()
}

impl Slot {
    const fn new() -> Self {
        Self {
            state: AtomicU64::new(phase::CLOSED),
            copy: UnsafeCell::new(Copied {
                note: None,
                argument: 0,
                registers: Registers::NONE,
                stack: Vec::new(),
                length: 0,
                words: [0; WORDS],
                noted: 0,
            }),
        }
    }

    /// Opens the slot and sends the signal; gives the slot's new state.
    #[allow(unsafe_code, reason = "the state says who may touch the copy")]
    fn ask(
        &self,
        index: usize,
        thread: &Thread,
        signal: c_int,
        callback: Option<SignalSafeCallback<'_>>,
    ) -> Result<u64, Missing> {
        let blocks = |mask: Option<u64>| mask.is_none_or(|mask| mask >> (signal - 1) & 1 == 1);
        // A thread that makes another one blocks all for a moment, which may be when the list was made.
        if blocks(thread.blocked_signals) && blocks(Task::new(thread.tid).blocked_signals()) {
            return Err(Missing::Blocked);
        }
        let before = self.state.load(Ordering::Acquire);
        if before & phase::MASK == phase::BUSY {
            // A thread has stopped inside of the handler, for example in a debugger.
            return Err(Missing::Silent);
        }
        let count = (before >> 2) + 1;
        {
            // SAFETY: the slot is closed or done, and `ASKING` is held.
            let copy = unsafe { &mut *self.copy.get() };
            copy.stack.resize(DEPTH, 0);
            copy.note = callback.map(|callback| callback.note);
            copy.argument = callback.map_or(0, |callback| (callback.argument)(thread.tid));
        }
        self.state
            .store(count << 2 | phase::OPEN, Ordering::Release);
        let value = count << 8 | index as u64;
        send(thread.tid, signal, value).map_err(|unsent| {
            self.close(count);
            match unsent {
                Unsent::Gone => Missing::Gone,
                Unsent::Denied => Missing::Refused,
            }
        })?;
        Ok(count)
    }

    fn close(&self, count: u64) {
        self.state
            .store(count << 2 | phase::CLOSED, Ordering::Release);
    }

    /// Waits for the copy and takes it.
    #[allow(unsafe_code, reason = "the state says who may touch the copy")]
    fn answer(&self, count: u64, deadline: Instant) -> Result<Snapshot, Missing> {
        let (open, closed) = (count << 2 | phase::OPEN, count << 2 | phase::CLOSED);
        while self.state.load(Ordering::Acquire) & phase::MASK != phase::DONE {
            let late = Instant::now() > deadline;
            let state = &self.state;
            if late
                && state
                    .compare_exchange(open, closed, Ordering::AcqRel, Ordering::Acquire)
                    .is_ok()
            {
                return Err(Missing::Silent);
            }
            if late && Instant::now() > deadline + TIMEOUT {
                return Err(Missing::Silent);
            }
            std::thread::sleep(Duration::from_micros(20));
        }
        // SAFETY: the handler has said that it is done, and `ASKING` is held.
        let copy = unsafe { &*self.copy.get() };
        Ok(Snapshot {
            registers: copy.registers,
            start: copy.registers.stack().unwrap_or(0),
            stack: copy.stack[..copy.length].to_vec(),
            noted: copy.words[..copy.noted.min(WORDS)].to_vec(),
            signalled: true,
            floor: None,
        })
    }
}

/// The handler: copies what the thread was doing.
#[allow(unsafe_code, reason = "called by the kernel")]
unsafe extern "C" fn handle(_signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes it to the handler that `claim` has installed.
    let Some(value) = (unsafe { received(info) }) else {
        return;
    };
    let (count, index) = (value >> 8, (value & 0xff) as usize);
    let Some(slot) = TABLE.get(index) else { return };
    let (open, busy) = (count << 2 | phase::OPEN, count << 2 | phase::BUSY);
    if slot
        .state
        .compare_exchange(open, busy, Ordering::AcqRel, Ordering::Acquire)
        .is_err()
    {
        return;
    }
    // SAFETY: the C library's variable of this thread.
    let errno = unsafe { *libc::__errno_location() };
    // SAFETY: with SA_SIGINFO the kernel passes the interrupted state.
    let registers = interrupted(unsafe { &*context.cast::<libc::ucontext_t>() });
    // SAFETY: this handler has moved the slot from open to busy.
    let copy = unsafe { &mut *slot.copy.get() };
    copy.registers = registers;
    // The kernel copies as much as there is.
    copy.length = spans::read(registers.stack().unwrap_or(0), &mut copy.stack).unwrap_or(0);
    copy.noted = copy
        .note
        .map_or(0, |note| note(copy.argument, &mut copy.words));
    slot.state
        .store(count << 2 | phase::DONE, Ordering::Release);
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
}
