//! Room for copies that threads make of themselves in a signal handler: registers, stack, and what they note.
//!
//! The handler takes no lock and allocates nothing: it claims a free slot, copies registers and stack into it through
//! Linux, and says that it is done. A thread of ours takes the copies, and frees the slots.

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use diaphane_sight::proc::spans;
use diaphane_sight::unwind::{DEPTH, Registers, Snapshot, WORDS, interrupted};

/// How far beyond the floor stacks are copied, for the return address of the last call that is looked at.
const MARGIN: usize = 1024;

mod phase {
    pub(super) const FREE: u8 = 0;
    pub(super) const BUSY: u8 = 1;
    pub(super) const DONE: u8 = 2;
}

/// The slots; `T` is what else a thread says with its copy.
pub(crate) struct ThreadCopies<T> {
    slots: Vec<Slot<T>>,
}

struct Slot<T> {
    phase: AtomicU8,
    copy: UnsafeCell<Copied<T>>,
}

/// What the handler writes.
struct Copied<T> {
    about: Option<T>,
    registers: Registers,
    stack: Vec<u8>,
    length: usize,
    words: Vec<usize>,
    noted: usize,
    floor: usize,
}

// SAFETY: `copy` belongs to whom `phase` says: to the handler that moved it from free to busy, and to the one thread that
// takes while it is done.
#[allow(unsafe_code, reason = "the phase says who may touch the copy")]
unsafe impl<T: Send> Sync for Slot<T> {}

impl<T: Copy + Send> ThreadCopies<T> {
    /// Room for so many copies. Pages that no stack reaches stay untouched.
    pub fn new(slots: usize) -> Self {
        Self {
            slots: (0..slots).map(|_| Slot::new()).collect(),
        }
    }

    /// Copies the thread that a signal has interrupted, whose calls that end at or above `floor` nobody wants to know
    /// (0 where all are wanted); false where there is no room. It is safe in a signal handler, if `note` is.
    #[allow(unsafe_code, reason = "the phase says who may touch the copy")]
    pub fn put(
        &self,
        context: &libc::ucontext_t,
        floor: usize,
        about: T,
        note: impl FnOnce(&mut [usize]) -> usize,
    ) -> bool {
        let free = |slot: &&Slot<T>| {
            let (free, busy) = (phase::FREE, phase::BUSY);
            slot.phase
                .compare_exchange(free, busy, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
        };
        let Some(slot) = self.slots.iter().find(free) else {
            return false;
        };
        // SAFETY: this handler has moved the slot from free to busy.
        let copy = unsafe { &mut *slot.copy.get() };
        let registers = interrupted(context);
        let stack = registers.stack().unwrap_or(0);
        // A signal on a stack of its own has nothing to do with the thread's.
        copy.floor = if floor > stack { floor } else { 0 };
        let most = match copy.floor {
            0 => DEPTH,
            floor => DEPTH.min(floor - stack + MARGIN),
        };
        copy.about = Some(about);
        copy.registers = registers;
        copy.length = spans::read(stack, &mut copy.stack[..most]).unwrap_or(0);
        copy.noted = note(&mut copy.words);
        slot.phase.store(phase::DONE, Ordering::Release);
        true
    }

    /// The copies that are done. Only one thread may take.
    #[allow(unsafe_code, reason = "the phase says who may touch the copy")]
    pub fn take(&self) -> impl Iterator<Item = (T, Snapshot)> {
        self.slots.iter().filter_map(|slot| {
            if slot.phase.load(Ordering::Acquire) != phase::DONE {
                return None;
            }
            // SAFETY: the handler has said that it is done, and only one thread takes.
            let copy = unsafe { &*slot.copy.get() };
            let taken = copy.about.map(|about| (about, copy.snapshot()));
            slot.phase.store(phase::FREE, Ordering::Release);
            taken
        })
    }

    /// Waits until no handler copies any more. A thread that was stopped inside of one, as by a debugger, is not
    /// waited for.
    pub fn settle(&self) {
        let is_busy = |slot: &Slot<T>| slot.phase.load(Ordering::Acquire) == phase::BUSY;
        for _ in 0..1000 {
            if !self.slots.iter().any(is_busy) {
                break;
            }
            std::thread::sleep(Duration::from_micros(50));
        }
    }
}

impl<T> Slot<T> {
    fn new() -> Self {
        Self {
            phase: AtomicU8::new(phase::FREE),
            copy: UnsafeCell::new(Copied {
                about: None,
                registers: Registers::NONE,
                stack: vec![0; DEPTH],
                length: 0,
                words: vec![0; WORDS],
                noted: 0,
                floor: 0,
            }),
        }
    }
}

impl<T> Copied<T> {
    fn snapshot(&self) -> Snapshot {
        Snapshot {
            registers: self.registers,
            start: self.registers.stack().unwrap_or(0),
            stack: self.stack[..self.length].to_vec(),
            noted: self.words[..self.noted.min(WORDS)].to_vec(),
            signalled: true,
            floor: (self.floor != 0).then_some(self.floor),
        }
    }
}
