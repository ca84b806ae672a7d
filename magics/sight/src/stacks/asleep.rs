//! Copies the stack of a sleeping thread from outside.
//!
//! The kernel tells where the thread sleeps, and counts how often it was given a CPU: if that count is the same before
//! and after, the copy is of one moment.

use crate::maps::Maps;
use crate::spans::bytes;
use crate::stacks::{DEPTH, Registers, Snapshot};
use crate::threads::Task;

/// What a thread was doing, if it slept all the while.
#[must_use]
pub fn snapshot(task: &Task, maps: &Maps) -> Option<Snapshot> {
    let before = task.run()?;
    let position = task.position()?;
    let end = maps.find(position.stack)?.span.end;
    let stack = bytes(position.stack, DEPTH.min(end - position.stack));
    let slept = task.position() == Some(position) && task.run() == Some(before);
    slept.then(|| Snapshot {
        registers: Registers::new(position.stack, position.code),
        start: position.stack,
        stack,
        noted: Vec::new(),
        signalled: false,
        floor: None,
    })
}
