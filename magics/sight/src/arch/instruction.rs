//! One instruction, as the decoder of any processor gives it.

use serde::Serialize;

/// What an instruction does to the flow of control.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Flow {
    /// The next instruction follows.
    Next,
    /// It goes elsewhere.
    Jump,
    /// It may go elsewhere.
    Branch,
    /// It goes elsewhere and comes back.
    Call,
    /// It ends the function.
    Return,
    /// It traps.
    Trap,
}

/// One instruction.
#[derive(Debug, Clone)]
pub struct Instruction {
    /// Where it lies.
    pub address: usize,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// It in Intel's notation, with addresses as numbers.
    pub text: String,
    /// What it does to the flow of control.
    pub flow: Flow,
    /// Where it jumps to or calls, if that is written in it.
    pub target: Option<usize>,
    /// The address of the data that it names relative to itself.
    pub data: Option<usize>,
    /// The part of the instruction set.
    pub isa: Isa,
    /// Whether it works on several items at once, or moves them.
    pub packed: bool,
}

/// The newest part of the instruction set that an instruction belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Isa {
    /// No vector register is touched.
    Scalar,
    /// 128-bit registers in the first encoding.
    Sse,
    /// The VEX encoding.
    Avx,
    /// The VEX encoding with AVX2, FMA and what came with them.
    Avx2,
    /// The EVEX encoding.
    Avx512,
}
