//! Instructions of AArch64, which nothing decodes yet.

use diaphane_sight::proc::spans::Span;

use crate::arch::Flow;

/// Every instruction is as long.
pub const LONGEST: usize = 4;
/// The length of the mark that indirect jumps may land there.
pub const MARK: usize = 4;

/// Finds no instruction.
pub struct Decoder;

/// What is never made.
#[derive(Debug, Clone, Copy, Default)]
pub struct Instruction;

impl Decoder {
    /// Over code that lies at an address.
    pub fn new(_code: &[u8], _start: usize) -> Self {
        Self
    }

    /// Reads nothing.
    pub fn read(&mut self, _into: &mut Instruction) -> bool {
        false
    }
}

impl Instruction {
    /// Nowhere.
    pub fn span(&self) -> Span {
        Span::new(0, 0)
    }

    /// Not known.
    pub fn flow(&self) -> Option<Flow> {
        None
    }

    /// Not known.
    pub fn target(&self) -> Option<usize> {
        None
    }

    /// Not known.
    pub fn data(&self) -> Option<usize> {
        None
    }

    /// Not known.
    pub fn is_mark(&self) -> bool {
        false
    }

    /// Not known.
    pub fn uses_below_the_stack(&self) -> bool {
        false
    }

    /// Nothing is moved.
    pub fn is_movable_call(&self) -> bool {
        false
    }

    /// Nothing is moved.
    pub fn append(&self, _here: usize, _code: &mut Vec<u8>, _original: &[u8]) -> Option<()> {
        None
    }
}

/// Not known.
pub fn is_padding(_code: &[u8], _span: Span) -> bool {
    false
}
