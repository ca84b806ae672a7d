//! Machine code as it lies in memory: instructions, where they jump, which data they name, which instruction set they
//! need.
//!
//! The decoder is the processor's, in `arch/`; where there is none, nothing is decoded and `SUPPORTED` says so. Names are
//! not looked up here: an instruction gives addresses, and `symbols` tells what lies there.

use std::ops::RangeInclusive;

use serde::Serialize;

pub use crate::arch::instruction::{Flow, Instruction, Isa};
pub use crate::arch::instructions::needed_features;
use crate::arch::instructions::{DECODED, LONGEST, decoded, is_mark};
use crate::proc::spans::bytes;

/// Whether code of this processor can be decoded.
pub const SUPPORTED: bool = DECODED;

/// Functions of unknown length are not followed farther.
const LONGEST_FUNCTION: usize = 64 * 1024;

/// How many instructions belong to each part of the instruction set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    /// No vector register.
    pub scalar: usize,
    /// SSE to SSE4.2.
    pub sse: usize,
    /// AVX.
    pub avx: usize,
    /// AVX2 and FMA.
    pub avx2: usize,
    /// AVX-512.
    pub avx512: usize,
    /// Of all these, those that work on several items at once.
    pub packed: usize,
}

impl Counts {
    /// Counts instructions.
    pub fn of(instructions: &[Instruction]) -> Self {
        let mut counts = Self::default();
        for instruction in instructions {
            let count = match instruction.isa {
                Isa::Scalar => &mut counts.scalar,
                Isa::Sse => &mut counts.sse,
                Isa::Avx => &mut counts.avx,
                Isa::Avx2 => &mut counts.avx2,
                Isa::Avx512 => &mut counts.avx512,
            };
            *count += 1;
            counts.packed += usize::from(instruction.packed);
        }
        counts
    }
}

/// Decodes the instructions in a span of memory, at most so many.
pub fn decode(start: usize, length: usize, most: usize) -> Vec<Instruction> {
    if !SUPPORTED {
        return Vec::new();
    }
    let length = length.min(most.saturating_mul(LONGEST));
    decoded(start, &bytes(start, length)).take(most).collect()
}

/// Decodes the first instruction of bytes that were read at an address of any process.
#[must_use]
pub fn decode_bytes(address: usize, code: &[u8]) -> Option<Instruction> {
    decoded(address, code).next()
}

/// Decodes a function whose length nobody knows: up to the first end that no jump reaches over.
pub fn decode_function(start: usize, most: usize) -> Vec<Instruction> {
    let mut reached = start;
    let mut found = Vec::new();
    for instruction in decode(start, LONGEST_FUNCTION, most) {
        let ends = matches!(instruction.flow, Flow::Jump | Flow::Return | Flow::Trap);
        let inside = |target: &usize| (start..start + LONGEST_FUNCTION).contains(target);
        // A jump backwards or far away ends a function as a return does.
        if instruction.flow == Flow::Branch {
            reached = instruction
                .target
                .filter(inside)
                .unwrap_or(reached)
                .max(reached);
        }
        let last = instruction.address >= reached && ends;
        found.push(instruction);
        if last {
            break;
        }
    }
    found
}

/// Where a PLT entry reads its destination, if the code at an address is one: `jmp [slot]`, as in a procedure linkage table.
pub fn plt_got_entry(address: usize) -> Option<usize> {
    let jump = first_jump(address)?;
    jump.target.is_none().then_some(jump.data)?
}

/// Where the code at an address jumps at once, if it does nothing else.
pub fn only_jump(address: usize) -> Option<usize> {
    first_jump(address)?.target
}

/// The jump that a function begins with, but for the mark that indirect jumps may land there.
fn first_jump(address: usize) -> Option<Instruction> {
    let begin = decode(address, 2 * LONGEST, 2);
    let first = begin.into_iter().find(|one| !is_mark(one))?;
    (first.flow == Flow::Jump).then_some(first)
}

/// The loops of a function, innermost and outer ones, as ranges of indices: from the target of a jump back to the jump.
pub fn loops(instructions: &[Instruction]) -> Vec<RangeInclusive<usize>> {
    let index = |address: usize| {
        instructions
            .binary_search_by_key(&address, |one| one.address)
            .ok()
    };
    let back = |(last, one): (usize, &Instruction)| {
        let jumps = matches!(one.flow, Flow::Jump | Flow::Branch);
        let first = index(one.target.filter(|_| jumps)?)?;
        (first <= last).then_some(first..=last)
    };
    instructions.iter().enumerate().filter_map(back).collect()
}

#[cfg(test)]
mod tests;
