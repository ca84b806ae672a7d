//! The first instructions of a function: which of them make room for a jump, and where their copies lie.

use diaphane_sight::proc::spans::Span;
use serde::Serialize;

use super::branches::Branches;
use super::functions::Function;
use super::text::Text;
use crate::arch::Flow;
use crate::arch::instructions::{Decoder, Instruction, LONGEST, is_padding};
use crate::arch::jumps::{JUMP, jump};
use crate::arch::patching::has_shadow_stack;

/// Why a function cannot be hooked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// It has no room for a jump, and there is no padding behind it.
    Short,
    /// A branch leads between the instructions that would have to be moved.
    Entered,
    /// It begins with a call that would return into the jump, or needs the processor's own record of calls.
    Calls,
    /// It begins again and again while it keeps values below the stack pointer.
    Loops,
    /// Its code is not what the file has: somebody else has changed it.
    Changed,
    /// Its instructions cannot be read or moved.
    Unreadable,
    /// There is no memory for code within reach, or there are too many functions.
    Room,
}

/// The instructions that make room.
#[derive(Debug)]
pub(super) struct Prologue {
    /// Where the jump goes: the first instruction behind the mark for indirect jumps.
    pub(super) at: usize,
    /// What is moved.
    pub(super) instructions: Vec<Instruction>,
    /// Where the function goes on; `None` if what is moved ends it.
    pub(super) next: Option<usize>,
}

/// Looks at the beginning of a function; `end` is where the next one begins.
pub(super) fn prologue(
    function: &Function,
    end: usize,
    text: &Text,
    branches: &Branches,
) -> Result<Prologue, Reason> {
    let start = function.span.start;
    let head = Span::new(start, start + 2 * LONGEST);
    let code = text.bytes(head);
    let mut decoder = Decoder::new(code, start);
    let mut instruction = Instruction::default();
    let mut instructions: Vec<Instruction> = Vec::new();
    let mut at = start;
    let mut next = Some(start);
    while let Some(here) = next.filter(|here| *here < at + JUMP) {
        if here >= function.span.end {
            return Err(Reason::Short);
        }
        if !decoder.read(&mut instruction) {
            return Err(Reason::Unreadable);
        }
        let behind = instruction.span().end;
        if here == start && instruction.is_mark() {
            (at, next) = (behind, Some(behind));
            continue;
        }
        next = goes_on(&instruction, at)?.then_some(behind);
        instructions.push(instruction);
    }
    let moved = instructions.last().map_or(at, |last| last.span().end);
    let patched = Span::new(at, at + JUMP);
    let padding = Span::new(moved, patched.end.max(moved));
    let behind = Span::new(at + 1, patched.end);
    if text.is_changed(Span::new(start, moved.max(patched.end))) {
        return Err(Reason::Changed);
    }
    if patched.end > end || !is_padding(text.bytes(padding), padding) {
        return Err(Reason::Short);
    }
    if branches.lead_into(behind) {
        return Err(Reason::Entered);
    }
    if branches.looping.binary_search(&start).is_ok() {
        return Err(Reason::Loops);
    }
    Ok(Prologue {
        at,
        instructions,
        next,
    })
}

/// Whether the next instruction follows.
fn goes_on(instruction: &Instruction, at: usize) -> Result<bool, Reason> {
    match instruction.flow().ok_or(Reason::Unreadable)? {
        Flow::Next | Flow::Branch => Ok(true),
        Flow::Jump | Flow::IndirectJump | Flow::End => Ok(false),
        Flow::Call => {
            let returns = instruction.span().end;
            let can = returns >= at + JUMP && !has_shadow_stack() && instruction.is_movable_call();
            // The function goes on where the call returns, which is not in the copy.
            if can { Ok(false) } else { Err(Reason::Calls) }
        }
    }
}

impl Prologue {
    /// Appends the instructions to the code of a trampoline, and a jump to what follows them. Gives for each how far it was
    /// behind `at`, and how far it is behind the beginning of the trampoline.
    pub(super) fn encode(
        &self,
        trampoline: usize,
        code: &mut Vec<u8>,
        text: &Text,
    ) -> Option<Vec<(u8, u8)>> {
        let mut moves = Vec::with_capacity(self.instructions.len());
        for instruction in &self.instructions {
            let span = instruction.span();
            let from = span.start - self.at;
            moves.push((u8::try_from(from).ok()?, u8::try_from(code.len()).ok()?));
            instruction.append(trampoline + code.len(), code, text.bytes(span))?;
        }
        if let Some(next) = self.next {
            code.extend(jump(trampoline + code.len(), next)?);
        }
        Some(moves)
    }
}
