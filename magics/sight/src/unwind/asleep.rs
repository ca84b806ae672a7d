//! Copies the stack of a sleeping thread from outside.
//!
//! The kernel tells where the thread sleeps, and counts how often it was given a CPU: if that count is the same before
//! and after, the copy is of one moment.

use crate::proc::maps::Maps;
use crate::threads::Task;
use crate::unwind::{DEPTH, Registers, Snapshot};

/// What a thread was doing, if it slept all the while.
#[must_use]
pub fn snapshot(task: &Task, maps: &Maps) -> Option<Snapshot> {
    snapshot_with(task, maps, Vec::new)
}

/// The same with what somebody notes of the thread meanwhile.
pub(super) fn snapshot_with(
    task: &Task,
    maps: &Maps,
    note: impl FnOnce() -> Vec<usize>,
) -> Option<Snapshot> {
    let before = task.run()?;
    let position = task.position()?;
    let registers = Registers::new(position.stack, position.code);
    let mut copy = copied(task, maps, registers)?;
    copy.noted = note();
    let slept = task.position() == Some(position) && task.run() == Some(before);
    slept.then_some(copy)
}

/// The stack of a thread that stands still at these registers.
pub(super) fn copied(task: &Task, maps: &Maps, registers: Registers) -> Option<Snapshot> {
    let pointer = registers.stack()?;
    // Of a stack that is used up the pointer stands before the first byte that can be read.
    let behind = |start: usize| {
        let mut regions = maps.regions.iter();
        regions.find(|region| region.span.end > start && region.perms.starts_with('r'))
    };
    let region =
        behind(pointer).filter(|region| region.span.start.saturating_sub(pointer) <= DEPTH)?;
    let (start, end) = (pointer.max(region.span.start), region.span.end);
    let stack = task.target().bytes(start, DEPTH.min(end - start));
    Some(Snapshot::new(registers, start, stack))
}
