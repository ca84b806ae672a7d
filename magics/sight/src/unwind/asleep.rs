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
    let start = registers.stack()?;
    let end = maps.find(start)?.span.end;
    Some(Snapshot {
        registers,
        start,
        stack: task.target().bytes(start, DEPTH.min(end - start)),
        noted: Vec::new(),
        signalled: false,
        floor: None,
    })
}
