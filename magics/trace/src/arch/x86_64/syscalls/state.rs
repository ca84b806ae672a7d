//! What is kept for each thread whose system calls are dispatched, and its log.
//!
//! The log is memory straight from the system, in which the thread's handler appends pieces of several kinds. It takes
//! no lock: only the thread itself writes while it takes part, and a handler that interrupts another one takes room
//! behind it.

#![allow(
    unsafe_code,
    reason = "logs are memory that handlers write through raw pointers"
)]

use std::sync::atomic::{
    AtomicBool, AtomicI32, AtomicIsize, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering,
};

use super::STACKS;
use super::asm::{call, own};
use super::masks::read_own;

/// In place of a state's owner while its memory is given back.
const BEING_FREED: i32 = -1;
/// How many threads can take part at once.
const THREADS: usize = 512;
/// How much of the stack is copied with each call: enough for the frames of the C library above a system call.
const STACK: usize = 768;
/// And with one that starts a thread, where the frames of those who pass it on come first.
const STACK_OF_CLONES: usize = 4096;

/// What a thread has.
#[derive(Debug)]
pub(super) struct ThreadState {
    /// Read by the kernel at each system call.
    pub selector: AtomicU8,
    /// The thread; 0 if the state is free.
    pub owner: AtomicI32,
    /// The recording that it takes part in.
    pub generation: AtomicU64,
    /// Whether it takes part no more.
    pub ended: AtomicBool,
    /// Whether the thread believes that it blocks SIGSYS.
    pub blocks: AtomicBool,
    /// The highest address of its stack that may be read.
    pub top: AtomicUsize,
    /// The argument of the callback; 0 for threads that have none.
    pub callback: AtomicUsize,
    /// What the callback remembers.
    pub seen: [AtomicUsize; 2],
    /// Where the last place lies in the log, and one more.
    pub place: AtomicUsize,
    /// The record of a call whose result comes through a trampoline.
    pub by_trampoline: AtomicUsize,
    /// Calls that found no room.
    pub lost: AtomicU64,
    pub start: AtomicUsize,
    pub next: AtomicUsize,
    pub end: AtomicUsize,
    /// Where the part ends that can be written, and the reserved addresses.
    pub open: AtomicUsize,
    pub last: AtomicUsize,
    /// How much is taken of the budget, and whether more is being taken.
    pub taken: AtomicUsize,
    pub grows: AtomicBool,
}

static TABLE: [ThreadState; THREADS] = [const { ThreadState::new() }; THREADS];

/// The kinds of pieces; 0 is what has not been written.
pub(super) mod piece {
    pub(crate) const CALL: u32 = 1;
    pub(crate) const TEXT: u32 = 2;
    pub(crate) const PLACE: u32 = 3;
    /// Text that ends with NUL, which an empty one has too.
    pub(crate) const PATH: u32 = 4;
}

/// The beginning of each piece.
#[repr(C)]
pub(super) struct Head {
    pub kind: AtomicU32,
    /// The whole piece in bytes.
    pub size: u32,
}

/// A call; a piece of its stack lies behind it.
#[repr(C)]
pub(super) struct Record {
    pub head: Head,
    pub number: i64,
    pub arguments: [usize; 6],
    pub began: u64,
    /// 0 as long as it has not returned.
    pub ended: AtomicU64,
    pub result: AtomicIsize,
    /// The next instruction, the stack pointer, then rbx, rbp, r12 to r15.
    pub registers: [usize; 8],
    /// As in the state.
    pub place: usize,
    pub copied: usize,
}

/// Bytes that belong to something else: what an argument points to, or a place.
#[repr(C)]
pub(super) struct Bytes {
    pub head: Head,
    /// Where the record of the call lies in the log.
    pub of: usize,
    pub argument: u32,
    pub length: u32,
}

impl ThreadState {
    const fn new() -> Self {
        Self {
            selector: AtomicU8::new(0),
            owner: AtomicI32::new(0),
            generation: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            blocks: AtomicBool::new(false),
            top: AtomicUsize::new(0),
            callback: AtomicUsize::new(0),
            seen: [const { AtomicUsize::new(0) }; 2],
            place: AtomicUsize::new(0),
            by_trampoline: AtomicUsize::new(0),
            lost: AtomicU64::new(0),
            start: AtomicUsize::new(0),
            next: AtomicUsize::new(0),
            end: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            last: AtomicUsize::new(0),
            taken: AtomicUsize::new(0),
            grows: AtomicBool::new(false),
        }
    }

    /// A state for the calling thread, with an empty log. It makes only calls that are not dispatched.
    pub fn claim(generation: u64, top: usize) -> Option<&'static Self> {
        let tid = call(libc::SYS_gettid, [0; 6]) as i32;
        let take = |state: &&Self| {
            let free = state.owner.load(Ordering::Relaxed) == 0;
            let order = (Ordering::AcqRel, Ordering::Relaxed);
            free && state
                .owner
                .compare_exchange(0, tid, order.0, order.1)
                .is_ok()
        };
        let state = TABLE.iter().find(take)?;
        if !state.reserve() {
            state.owner.store(0, Ordering::Release);
            return None;
        }
        for number in [
            &state.seen[0],
            &state.seen[1],
            &state.place,
            &state.by_trampoline,
            &state.callback,
        ] {
            number.store(0, Ordering::Relaxed);
        }
        state.lost.store(0, Ordering::Relaxed);
        state.blocks.store(false, Ordering::Relaxed);
        state.ended.store(false, Ordering::Relaxed);
        state.top.store(top, Ordering::Relaxed);
        state.generation.store(generation, Ordering::Release);
        Some(state)
    }

    /// Room for a piece; `None`, and counted, if there is none.
    fn take(&self, size: usize) -> Option<usize> {
        let size = size.next_multiple_of(8);
        loop {
            // A handler that interrupts this one must find either the old or the new value.
            let at = self.next.fetch_add(size, Ordering::Relaxed);
            if at + size <= self.end.load(Ordering::Relaxed) {
                return Some(at);
            }
            self.next.fetch_sub(size, Ordering::Relaxed);
            if !self.grow() {
                return None;
            }
        }
    }

    /// Begins the record of a call.
    pub fn record(
        &self,
        number: i64,
        arguments: [usize; 6],
        registers: [usize; 8],
    ) -> Option<&'static Record> {
        let stack = registers[1];
        let copied = if STACKS.load(Ordering::Relaxed) {
            let is_clone = matches!(number, libc::SYS_clone | libc::SYS_clone3);
            let most = if is_clone { STACK_OF_CLONES } else { STACK };
            self.readable(stack).min(most)
        } else {
            0
        };
        let size = (size_of::<Record>() + copied).next_multiple_of(8);
        let Some(at) = self.take(size) else {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        let record = at as *mut Record;
        // SAFETY: `take` gave memory of this thread's own that nobody reads yet, and any bytes are a record.
        let fresh = unsafe { &mut *record };
        fresh.head.kind.store(0, Ordering::Relaxed);
        fresh.head.size = size as u32;
        fresh.ended.store(0, Ordering::Relaxed);
        fresh.number = number;
        fresh.arguments = arguments;
        fresh.registers = registers;
        fresh.place = self.place.load(Ordering::Relaxed);
        let copy = (at + size_of::<Record>()) as *mut u8;
        // SAFETY: there is room for so much behind the record, which nobody reads yet.
        let buffer = unsafe { std::slice::from_raw_parts_mut(copy, copied) };
        fresh.copied = copy_stack(stack, buffer);
        fresh.head.kind.store(piece::CALL, Ordering::Release);
        fresh.began = crate::clock::ticks();
        // SAFETY: the log is never unmapped while the thread takes part.
        Some(unsafe { &*record })
    }

    /// How much there may be to read from a stack pointer of this thread on.
    fn readable(&self, stack: usize) -> usize {
        let top = self.top.load(Ordering::Relaxed);
        // On another stack, such as a signal's, nothing is known but that this page is there.
        let limit = if stack < top && top - stack < 1 << 30 {
            top
        } else {
            rest_of_page(stack)
        };
        limit - stack
    }

    /// Appends bytes: `fill` writes them and says how many there are. Gives their place in the log.
    pub fn append(
        &self,
        kind: u32,
        of: Option<&Record>,
        argument: u32,
        most: usize,
        fill: impl FnOnce(&mut [u8]) -> usize,
    ) -> Option<usize> {
        let size = size_of::<Bytes>() + most.next_multiple_of(8);
        let at = self.take(size)?;
        let start = self.start.load(Ordering::Relaxed);
        // SAFETY: as in `record`.
        let piece = unsafe { &mut *(at as *mut Bytes) };
        piece.head.kind.store(0, Ordering::Relaxed);
        piece.head.size = size as u32;
        piece.of = of.map_or(0, |record| std::ptr::from_ref(record).addr() - start);
        piece.argument = argument;
        let first = (at + size_of::<Bytes>()) as *mut u8;
        // SAFETY: `take` gave so much room behind the piece's beginning.
        let buffer = unsafe { std::slice::from_raw_parts_mut(first, most) };
        piece.length = fill(buffer).min(most) as u32;
        // What was not used is given back, unless a handler in between took what lies behind.
        let used = match piece.length as usize {
            0 => 0,
            length => size_of::<Bytes>() + length.next_multiple_of(8),
        };
        let shrunk =
            self.next
                .compare_exchange(at + size, at + used, Ordering::Relaxed, Ordering::Relaxed);
        if shrunk.is_ok() {
            piece.head.size = used as u32;
        }
        if used > 0 {
            piece.head.kind.store(kind, Ordering::Release);
        }
        (used > 0).then_some(at - start)
    }

    /// Takes over the result of a call that went through a trampoline.
    pub fn settle(&self) {
        let result = own().by_trampoline.swap(isize::MIN, Ordering::Relaxed);
        let waiting = self.by_trampoline.swap(0, Ordering::Relaxed) as *const Record;
        // SAFETY: it is null or a record of this thread's log.
        if let Some(record) = unsafe { waiting.as_ref() }
            && result != isize::MIN
        {
            record.result.store(result, Ordering::Relaxed);
            record.ended.store(u64::MAX, Ordering::Release);
        }
    }

    /// The log as bytes.
    pub fn log(&self) -> &[u8] {
        let start = self.start.load(Ordering::Relaxed);
        let next = self.next.load(Ordering::Acquire);
        // SAFETY: the log is mapped, and what lies before `next` is written by now but for results of calls that have
        // not returned.
        unsafe { std::slice::from_raw_parts(start as *const u8, next - start) }
    }

    /// Takes part no more; what it has written is still to be read.
    pub fn leave(&self) {
        self.ended.store(true, Ordering::Release);
    }

    /// Whether its thread still takes part, or has not noticed yet that the recording is over.
    pub fn is_live(&self) -> bool {
        self.owner.load(Ordering::Acquire) != 0 && !self.ended.load(Ordering::Acquire)
    }
}

/// Where the page of an address ends.
fn rest_of_page(address: usize) -> usize {
    (address | 4095) + 1
}

/// Copies from a stack pointer on. What lies in the next page is read through the kernel: a fiber's stack may end here,
/// wherever the thread's own begins.
fn copy_stack(stack: usize, buffer: &mut [u8]) -> usize {
    let in_page = buffer.len().min(rest_of_page(stack) - stack);
    if in_page < buffer.len()
        && let Some(read) = read_own(stack, buffer)
    {
        return read;
    }
    // SAFETY: the thread was running with this stack pointer, so its page is mapped, and the buffer has room.
    unsafe { std::ptr::copy_nonoverlapping(stack as *const u8, buffer.as_mut_ptr(), in_page) };
    in_page
}

/// The states that take part in a recording.
pub(super) fn of_generation(generation: u64) -> impl Iterator<Item = &'static ThreadState> {
    let is_its = move |state: &&ThreadState| {
        state.owner.load(Ordering::Acquire) != 0
            && state.generation.load(Ordering::Acquire) == generation
    };
    TABLE.iter().filter(is_its)
}

/// How many threads take part, or do not know yet that it is over.
pub(super) fn live() -> usize {
    TABLE.iter().filter(|state| state.is_live()).count()
}

/// Frees the states whose threads take part no more.
pub(super) fn free_ended() {
    for state in &TABLE {
        let owner = state.owner.load(Ordering::Acquire);
        if owner <= 0 || !state.ended.load(Ordering::Acquire) {
            continue;
        }
        // Two recordings may do this at once: one ends and the next one begins.
        let (success, failure) = (Ordering::AcqRel, Ordering::Relaxed);
        let is_mine = state
            .owner
            .compare_exchange(owner, BEING_FREED, success, failure);
        if is_mine.is_ok() {
            state.give_back();
            state.owner.store(0, Ordering::Release);
        }
    }
}

/// In a child process, whose only thread takes part in nothing.
pub(super) fn free_all() {
    for state in &TABLE {
        state.owner.store(0, Ordering::Release);
    }
}
