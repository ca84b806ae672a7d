//! The code that a hooked function's jump leads to: it calls the recorder, does what the function's first instructions
//! did, and goes on behind them.
//!
//! Trampolines stay for ever, because a thread may stand in one at any time. Their memory is never writable and executable at
//! once.

use std::ptr;

use diaphane_sight::proc::maps::{MappingKind, Maps};
use diaphane_sight::proc::spans::Span;
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect};

use super::prologue::{Prologue, Reason};
use super::text::Text;
use crate::arch::jumps::{JUMP, REACH, jump};
use crate::arch::pieces::{FILL, call_recorder};
use crate::recorder::{common, common_by_choice};

/// So much is left for the heap to grow.
const SPARE: usize = 1 << 30;
/// The recorder's addresses stand at the beginning of the memory: for all functions, and for those whose arguments may
/// be kept.
const SLOT: usize = 16;
/// The most that a trampoline takes.
const MOST: usize = 96;
/// Where trampolines begin.
const ALIGN: usize = 16;
/// So much is asked for at least for each.
const USUAL: usize = 48;

/// A function whose entry can be hooked.
#[derive(Debug)]
pub(super) struct EntryPatch {
    /// Where the jump is written.
    pub(super) at: usize,
    /// What stands there.
    pub(super) original: [u8; JUMP],
    /// The jump.
    pub(super) jump: [u8; JUMP],
    /// Where the trampoline lies.
    trampoline: usize,
    /// For each moved instruction that begins within the jump: how far it was behind `at`, how far it is behind `trampoline`.
    moves: [(u8, u8); JUMP],
}

impl EntryPatch {
    /// Where a thread goes on that stands between two instructions that are moved. `None` if it stands at no beginning
    /// of one.
    pub(super) fn moved(&self, address: usize) -> Option<usize> {
        let from = u8::try_from(address - self.at).ok()?;
        let found = self.moves.iter().find(|(old, _)| *old == from)?;
        Some(self.trampoline + usize::from(found.1))
    }
}

/// Trampolines that are being written.
pub(super) struct Trampolines {
    memory: Span,
    code: Vec<u8>,
}

impl Trampolines {
    /// Gets memory near a library for so many trampolines.
    pub(super) fn near(library: Span, count: usize) -> Option<Self> {
        let page = rustix::param::page_size();
        let size = (SLOT + count * USUAL + MOST).next_multiple_of(page);
        // Read as late as possible: memory that was allocated since may lie in a gap.
        let places = gaps(library, size, &Maps::read().ok()?);
        let memory = places.into_iter().find_map(|start| map(start, size))?;
        let mut code = Vec::with_capacity(size);
        code.extend(common().to_le_bytes());
        code.extend(common_by_choice().to_le_bytes());
        Some(Self { memory, code })
    }

    /// Writes a trampoline: a call of the recorder, and the moved instructions.
    pub(super) fn add(
        &mut self,
        prologue: &Prologue,
        number: u32,
        words: bool,
        text: &Text,
    ) -> Result<EntryPatch, Reason> {
        let trampoline = self.memory.start + self.code.len();
        if trampoline + MOST > self.memory.end {
            return Err(Reason::Room);
        }
        let recorder = self.memory.start + if words { SLOT / 2 } else { 0 };
        let mut code = call_recorder(number, trampoline, recorder).ok_or(Reason::Room)?;
        let moved = prologue.encode(trampoline, &mut code, text);
        let moved = moved
            .filter(|_| code.len() <= MOST)
            .ok_or(Reason::Unreadable)?;
        let jump = jump(prologue.at, trampoline).ok_or(Reason::Room)?;
        let original = text.bytes(Span::new(prologue.at, prologue.at + JUMP));
        let original = original.try_into().map_err(|_| Reason::Unreadable)?;
        // No instruction begins so far behind.
        let mut moves = [(u8::MAX, 0); JUMP];
        for (place, found) in moves.iter_mut().zip(moved) {
            *place = found;
        }
        self.code.extend(code);
        self.code
            .resize(self.code.len().next_multiple_of(ALIGN), FILL);
        Ok(EntryPatch {
            at: prologue.at,
            original,
            jump,
            trampoline,
            moves,
        })
    }

    /// Makes the trampolines executable, and gives back the memory that is left.
    #[allow(unsafe_code, reason = "memory for code comes from the system")]
    pub(super) fn publish(self) -> Option<()> {
        let page = rustix::param::page_size();
        let used = self.code.len().next_multiple_of(page);
        let start = ptr::with_exposed_provenance_mut::<u8>(self.memory.start);
        // SAFETY: the mapping is our own and larger than the code, and no jump leads there yet.
        unsafe { ptr::copy_nonoverlapping(self.code.as_ptr(), start, self.code.len()) };
        if used < self.memory.len() {
            // SAFETY: a part of our own mapping that holds nothing.
            let _ = unsafe { rustix::mm::munmap(start.add(used).cast(), self.memory.len() - used) };
        }
        let rights = MprotectFlags::READ | MprotectFlags::EXEC;
        // SAFETY: it is our own mapping.
        unsafe { mprotect(start.cast(), used, rights) }.ok()
    }
}

/// Where memory of a size is free from which a jump reaches the whole library, the nearest below first.
fn gaps(library: Span, size: usize, maps: &Maps) -> Vec<usize> {
    let lowest = library.end.saturating_sub(REACH);
    let highest = library.start.saturating_add(REACH);
    let mut found: Vec<(usize, usize)> = Vec::new();
    for (one, next) in maps.regions.iter().zip(maps.regions.iter().skip(1)) {
        let gap = Span::new(one.span.end.max(lowest), next.span.start.min(highest));
        // The heap grows upwards, a stack downwards.
        let spare = if one.kind() == MappingKind::Heap {
            SPARE
        } else {
            0
        };
        if gap.len() < size + spare || next.kind() == MappingKind::Stack {
            continue;
        }
        let start = gap.end - size;
        found.push((start.abs_diff(library.start), start));
    }
    found.sort_unstable();
    found.into_iter().map(|(_, start)| start).collect()
}

#[allow(unsafe_code, reason = "memory for code comes from the system")]
fn map(start: usize, size: usize) -> Option<Span> {
    let rights = ProtFlags::READ | ProtFlags::WRITE;
    let flags = MapFlags::PRIVATE | MapFlags::FIXED_NOREPLACE;
    let wanted = ptr::without_provenance_mut(start);
    // SAFETY: nothing that is mapped is replaced.
    let memory = unsafe { mmap_anonymous(wanted, size, rights, flags) }.ok()?;
    if memory.addr() == start {
        return Some(Span::new(start, start + size));
    }
    // A kernel that does not know the flag takes the address for a hint.
    // SAFETY: it is our own mapping, and nobody else knows it.
    let _ = unsafe { rustix::mm::munmap(memory, size) };
    None
}
