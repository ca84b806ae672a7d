//! Where threads write their events: a fixed number of writers, each with a piece of reserved memory of its own.
//!
//! A thread gets a writer at its first event, in the middle of any code, so nothing here allocates or locks. Writers and
//! their memory live as long as the process: a thread may still be between two instructions of the recorder when a
//! recording has ended. What was touched is given back to the system.

use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicU8, AtomicU64, AtomicUsize, Ordering};

use diaphane_sight::proc::tasks;
use rustix::mm::{Advice, madvise};
use rustix::thread::gettid;

use super::asm::own;
use super::room::KEPT;
use crate::event::{Event, Log, kind};

/// How many threads can take part.
const WRITERS: usize = 1024;
/// The most events of one thread in one recording; memory is only taken as it is written, out of the budget.
pub(super) const MOST: usize = 1 << 23;

/// The number of the recording that runs; 0 if none does.
pub(super) static ACTIVE: AtomicU64 = AtomicU64::new(0);
/// How many events each thread may write.
pub(super) static CAPACITY: AtomicUsize = AtomicUsize::new(0);
/// Which thread tells where its interpreter is, and how it is found.
pub(super) static PLACE: Places = Places {
    tid: AtomicI32::new(0),
    root: AtomicUsize::new(0),
    through: AtomicUsize::new(0),
    instruction: AtomicUsize::new(0),
    previous: AtomicUsize::new(0),
    owner: AtomicUsize::new(0),
    first_of_c: AtomicU8::new(0),
};
/// Threads that found no writer, or no memory.
pub(super) static LEFT_OUT: AtomicU64 = AtomicU64::new(0);

/// The parts of a `Place`.
pub(super) struct Places {
    pub tid: AtomicI32,
    pub root: AtomicUsize,
    pub through: AtomicUsize,
    pub instruction: AtomicUsize,
    pub previous: AtomicUsize,
    pub owner: AtomicUsize,
    pub first_of_c: AtomicU8,
}

/// What the assembly knows of a thread. Only the thread itself writes here while it lives, but for `owner`.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Writer {
    pub next: AtomicUsize,
    pub negated_end: AtomicUsize,
    pub negated_generation: AtomicU64,
    pub place: AtomicUsize,
    pub through: AtomicUsize,
    pub instruction: AtomicUsize,
    pub not_last: AtomicUsize,
    pub lost: AtomicU64,
    /// Whether there may be more room behind the end.
    pub may_grow: AtomicUsize,
    /// The thread's number; 0 if the writer is free.
    pub(super) owner: AtomicI32,
    pub(super) start: AtomicUsize,
    /// How many addresses are reserved, how many of them can be written, and how much is taken of the budget.
    pub(super) reserved: AtomicUsize,
    pub(super) open: AtomicUsize,
    pub(super) taken: AtomicUsize,
    /// How much of the memory the system has given ahead.
    pub(super) ready: AtomicUsize,
    /// What `negated_end`, `may_grow` and `lost` were when the thread was muted; the first is 0 where it is not.
    muted_end: AtomicUsize,
    muted_may_grow: AtomicUsize,
    muted_lost: AtomicU64,
    /// How many events happened while it was muted.
    muted: AtomicU64,
}

static TABLE: [Writer; WRITERS] = [const { Writer::new() }; WRITERS];

impl Writer {
    const fn new() -> Self {
        Self {
            next: AtomicUsize::new(0),
            negated_end: AtomicUsize::new(0),
            negated_generation: AtomicU64::new(0),
            place: AtomicUsize::new(0),
            through: AtomicUsize::new(0),
            instruction: AtomicUsize::new(0),
            not_last: AtomicUsize::new(0),
            lost: AtomicU64::new(0),
            may_grow: AtomicUsize::new(0),
            owner: AtomicI32::new(0),
            start: AtomicUsize::new(0),
            reserved: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            taken: AtomicUsize::new(0),
            ready: AtomicUsize::new(0),
            muted_end: AtomicUsize::new(0),
            muted_may_grow: AtomicUsize::new(0),
            muted_lost: AtomicU64::new(0),
            muted: AtomicU64::new(0),
        }
    }

    /// The calling thread's writer, ready for the recording that runs.
    #[allow(unsafe_code, reason = "the thread-local variable is a raw pointer")]
    pub(super) fn mine() -> Option<&'static Self> {
        let generation = ACTIVE.load(Ordering::Acquire);
        // SAFETY: the variable belongs to this thread.
        let known = unsafe { (*own()).writer };
        // SAFETY: it is null or a place of `TABLE`, which lives for ever.
        let known = unsafe { known.as_ref() };
        match known {
            _ if generation == 0 => None,
            Some(writer) if writer.has_generation(generation) => Some(writer),
            Some(writer) => Some(writer.prepare(generation)),
            None => {
                let writer = Self::claim()?;
                // SAFETY: as above.
                unsafe { (*own()).writer = ptr::from_ref(writer).cast_mut() };
                Some(writer.prepare(generation))
            }
        }
    }

    fn has_generation(&self, generation: u64) -> bool {
        self.negated_generation.load(Ordering::Relaxed) == generation.wrapping_neg()
    }

    fn claim() -> Option<&'static Self> {
        let tid = gettid().as_raw_nonzero().get();
        let take = |writer: &&Self| {
            let free = writer.owner.load(Ordering::Relaxed) == 0;
            free && writer
                .owner
                .compare_exchange(0, tid, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
        };
        let writer = TABLE.iter().find(take).filter(|writer| writer.reserve());
        if writer.is_none() {
            LEFT_OUT.fetch_add(1, Ordering::Relaxed);
        }
        writer
    }

    fn prepare(&self, generation: u64) -> &Self {
        let start = self.start.load(Ordering::Relaxed);
        self.give_back();
        self.next.store(start, Ordering::Relaxed);
        self.negated_end
            .store(start.wrapping_neg(), Ordering::Relaxed);
        self.may_grow.store(1, Ordering::Relaxed);
        self.muted_end.store(0, Ordering::Relaxed);
        self.muted.store(0, Ordering::Relaxed);
        self.grow();
        self.lost.store(0, Ordering::Relaxed);
        let tells = PLACE.tid.load(Ordering::Relaxed) == self.owner.load(Ordering::Relaxed);
        let root = if tells {
            PLACE.root.load(Ordering::Relaxed)
        } else {
            0
        };
        self.place.store(root, Ordering::Relaxed);
        let copy = |from: &AtomicUsize, to: &AtomicUsize| {
            to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
        };
        copy(&PLACE.through, &self.through);
        copy(&PLACE.instruction, &self.instruction);
        self.not_last.store(usize::MAX, Ordering::Relaxed);
        self.negated_generation
            .store(generation.wrapping_neg(), Ordering::Release);
        self
    }

    /// Has events counted only, as if there were no more room, which is the cheapest that a hook can do.
    pub(super) fn mute(&self) {
        let end = self.negated_end.load(Ordering::Relaxed);
        let copy = |from: &AtomicUsize, to: &AtomicUsize| {
            to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
        };
        copy(&self.may_grow, &self.muted_may_grow);
        self.muted_lost
            .store(self.lost.load(Ordering::Relaxed), Ordering::Relaxed);
        self.muted_end.store(end, Ordering::Relaxed);
        self.may_grow.store(0, Ordering::Relaxed);
        let next = self.next.load(Ordering::Relaxed);
        self.negated_end
            .store(next.wrapping_neg(), Ordering::Relaxed);
    }

    /// Has events written again; those that were counted meanwhile are no lost ones.
    pub(super) fn unmute(&self) {
        let end = self.muted_end.swap(0, Ordering::Relaxed);
        if end == 0 {
            return;
        }
        let before = self.muted_lost.load(Ordering::Relaxed);
        let lost = self.lost.swap(before, Ordering::Relaxed);
        self.muted.fetch_add(lost - before, Ordering::Relaxed);
        let may_grow = self.muted_may_grow.load(Ordering::Relaxed);
        self.may_grow.store(may_grow, Ordering::Relaxed);
        self.negated_end.store(end, Ordering::Relaxed);
        // The place is noted anew.
        self.not_last.store(usize::MAX, Ordering::Relaxed);
    }

    /// How many events were written so far.
    fn events(&self) -> usize {
        let start = self.start.load(Ordering::Relaxed);
        let used = self.next.load(Ordering::Relaxed).saturating_sub(start);
        used / size_of::<Event>()
    }

    /// Where the log ends, and how many events were lost.
    pub(super) fn end(&self) -> (usize, u64) {
        let start = self.start.load(Ordering::Relaxed);
        let used = self.next.load(Ordering::Relaxed) - start;
        (used, self.lost.load(Ordering::Relaxed))
    }

    /// Forgets what was written behind such an end.
    pub(super) fn cut(&self, (used, lost): (usize, u64)) {
        let end = self.start.load(Ordering::Relaxed) + used;
        self.next.fetch_min(end, Ordering::Relaxed);
        self.lost.store(lost, Ordering::Relaxed);
        // The place is noted anew.
        self.not_last.store(usize::MAX, Ordering::Relaxed);
    }

    /// Forgets what was written.
    pub(super) fn restart(&self) {
        self.next
            .store(self.start.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// Room for some events in a row; `None`, and counted, if there is not so much.
    pub(super) fn take(&self, count: usize) -> Option<*mut Event> {
        let next = self.next.load(Ordering::Relaxed);
        let after = next + count * size_of::<Event>();
        while after > self.negated_end.load(Ordering::Relaxed).wrapping_neg() {
            if self.may_grow.load(Ordering::Relaxed) == 0 || !self.grow() {
                self.lost.fetch_add(1, Ordering::Relaxed);
                return None;
            }
        }
        self.next.store(after, Ordering::Relaxed);
        Some(next as *mut Event)
    }

    /// The innermost frame, if this thread tells.
    #[allow(
        unsafe_code,
        reason = "the interpreter's structures of this very thread"
    )]
    fn frame(&self) -> Option<usize> {
        let root = self.place.load(Ordering::Relaxed) as *const usize;
        // SAFETY: `Place` promises that the chain holds on its own thread.
        let through = unsafe { root.as_ref() }?;
        let frame = word(through + self.through.load(Ordering::Relaxed));
        (frame != 0).then_some(frame)
    }

    /// Notes where the interpreter is, if that has changed.
    pub(super) fn note_place(&self) {
        if let Some(frame) = self.frame() {
            self.note_frame(frame);
        }
    }

    /// Notes where the caller of the innermost function is, if that has changed.
    #[allow(
        unsafe_code,
        reason = "the interpreter's structures of this very thread"
    )]
    pub(super) fn note_callers_place(&self) {
        let Some(frame) = self.frame() else { return };
        let previous = PLACE.previous.load(Ordering::Relaxed);
        let owner = PLACE.owner.load(Ordering::Relaxed);
        let first_of_c = PLACE.first_of_c.load(Ordering::Relaxed);
        // SAFETY: frames are linked as long as their functions run.
        let is_c = |frame: usize| unsafe { *((frame + owner) as *const u8) } >= first_of_c;
        let mut caller = word(frame + previous);
        while owner != 0 && caller != 0 && is_c(caller) {
            caller = word(caller + previous);
        }
        if caller != 0 {
            self.note_frame(caller);
        }
    }

    #[allow(unsafe_code, reason = "events are written through raw pointers")]
    fn note_frame(&self, frame: usize) {
        let instruction = word(frame + self.instruction.load(Ordering::Relaxed));
        let before = self.not_last.swap(!instruction, Ordering::Relaxed);
        if before == !instruction {
            return;
        }
        let event = Event {
            id: kind::PLACE,
            stack: instruction,
            back: frame,
            ..Event::default()
        };
        if let Some(at) = self.take(1) {
            // SAFETY: `take` gives memory of this thread's own. Whoever collects meanwhile knows what is not finished.
            unsafe { at.write(event) };
        }
    }

    /// Copies what was written, and gives memory back. A thread that was taken off its CPU in the recorder writes its
    /// last event later: it has room before it writes, and the memory was all zeroes.
    #[allow(unsafe_code, reason = "events are read through raw pointers")]
    fn collect(&self) -> Log {
        self.unmute();
        let start = self.start.load(Ordering::Acquire);
        let used = self.next.load(Ordering::Acquire) - start;
        let count = used / size_of::<Event>();
        let first = start as *mut Event;
        // SAFETY: so much of the memory is open, and any bytes are events; those that are still being written are not
        // used below.
        let written = unsafe { std::slice::from_raw_parts(first, count) };
        let is_whole = |event: &&Event| event.id >= kind::FIRST || event.time != 0;
        let mut events = Vec::with_capacity(count);
        events.extend(written.iter().filter(is_whole));
        let unfinished = (count - events.len()) as u64;
        let given = used.max(self.ready.load(Ordering::Relaxed));
        let kept = used.min(KEPT);
        // SAFETY: the memory is ours. An event that is written from now on is nobody's.
        unsafe { ptr::write_bytes(first.cast::<u8>(), 0, kept) };
        if given > KEPT {
            let rest = (start + KEPT) as *mut _;
            // SAFETY: the memory is ours, and what it holds is not needed any more. Zeroes come in its place.
            let _ = unsafe { madvise(rest, given - KEPT, Advice::LinuxDontNeed) };
            self.ready.store(KEPT, Ordering::Relaxed);
        }
        self.give_back();
        Log {
            tid: self.owner.load(Ordering::Relaxed),
            events,
            lost: self.lost.load(Ordering::Relaxed) + unfinished,
            muted: self.muted.load(Ordering::Relaxed),
        }
    }
}

/// A word of the interpreter's structures.
#[allow(
    unsafe_code,
    reason = "the interpreter's structures of this very thread"
)]
fn word(address: usize) -> usize {
    // SAFETY: the callers follow the chain that `Place` promises, on its own thread.
    unsafe { *(address as *const usize) }
}

/// Has the system give memory to the threads that write much in the recording that runs; says how many events all of
/// them have written.
pub(super) fn populate() -> usize {
    let generation = ACTIVE.load(Ordering::Acquire);
    // The first free writer is taken: behind one that was never used there is none.
    let used = TABLE
        .iter()
        .take_while(|writer| writer.start.load(Ordering::Acquire) != 0);
    let busy = used.filter(|writer| generation != 0 && writer.has_generation(generation));
    busy.map(|writer| {
        writer.populate();
        writer.events()
    })
    .sum()
}

/// What the threads wrote in a recording.
pub(super) fn collect(generation: u64) -> Vec<Log> {
    let took_part = TABLE
        .iter()
        .filter(|writer| writer.has_generation(generation));
    let logs = took_part.map(Writer::collect);
    logs.filter(|log| !log.events.is_empty() || log.muted > 0)
        .collect()
}

/// Frees the writers of threads that have ended, and what a recording took whose end nobody collected.
pub(super) fn free_ended() {
    for writer in &TABLE {
        writer.give_back();
        let owner = writer.owner.load(Ordering::Acquire);
        if owner != 0 && !tasks::exists(owner) {
            writer.negated_generation.store(0, Ordering::Relaxed);
            writer.owner.store(0, Ordering::Release);
        }
    }
}
