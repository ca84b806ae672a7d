//! The decoder of AArch64's instructions, which is not built in.

use crate::arch::instruction::Instruction;

/// Whether code can be decoded.
pub const DECODED: bool = false;
/// Every instruction is as long.
pub const LONGEST: usize = 4;

/// None.
pub fn decoded(_start: usize, _code: &[u8]) -> impl Iterator<Item = Instruction> {
    std::iter::empty()
}

/// Not known.
pub fn is_mark(_instruction: &Instruction) -> bool {
    false
}

/// Not known.
pub fn needed_features(_code: &[u8]) -> Vec<String> {
    Vec::new()
}
