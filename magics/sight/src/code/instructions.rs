//! Machine code as it lies in memory: instructions, where they jump, which data they name, which instruction set they
//! need.
//!
//! The decoder is `iced-x86`; on other processors nothing is decoded and `SUPPORTED` says so. Names are not looked up
//! here: an instruction gives addresses, and `symbols` tells what lies there.

mod isa;

use std::ops::RangeInclusive;

use iced_x86::{
    Decoder, DecoderOptions, FlowControl, Formatter, InstructionInfoFactory, IntelFormatter,
    Mnemonic, OpKind,
};
use serde::Serialize;

pub use self::isa::{Counts, Isa};
use crate::proc::spans::bytes;

/// Whether code of this processor can be decoded.
pub const SUPPORTED: bool = crate::arch::instructions::DECODED;

/// No instruction is longer.
const LONGEST_INSTRUCTION: usize = 15;
/// Functions of unknown length are not followed farther.
const LONGEST_FUNCTION: usize = 64 * 1024;

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

/// Decodes the instructions in a span of memory, at most so many.
pub fn decode(start: usize, length: usize, most: usize) -> Vec<Instruction> {
    if !SUPPORTED {
        return Vec::new();
    }
    let length = length.min(most.saturating_mul(LONGEST_INSTRUCTION));
    Reader::new(start, &bytes(start, length))
        .take(most)
        .collect()
}

/// Decodes the first instruction of bytes that were read at an address of any process.
#[must_use]
pub fn decode_bytes(address: usize, code: &[u8]) -> Option<Instruction> {
    SUPPORTED
        .then(|| Reader::new(address, code).next())
        .flatten()
}

/// What a processor must have for the first instruction of these bytes, beyond what every one of its kind has; by the
/// kernel's names.
#[must_use]
pub fn needed_features(code: &[u8]) -> Vec<String> {
    match SUPPORTED {
        true => isa::features(&Decoder::new(64, code, DecoderOptions::NONE).decode()),
        false => Vec::new(),
    }
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
    let begin = decode(address, 2 * LONGEST_INSTRUCTION, 2);
    let first = begin
        .into_iter()
        .find(|one| !one.text.starts_with("endbr"))?;
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

/// Walks over bytes, instruction by instruction.
struct Reader<'a> {
    decoder: Decoder<'a>,
    code: &'a [u8],
    formatter: IntelFormatter,
    info: InstructionInfoFactory,
    start: usize,
}

impl<'a> Reader<'a> {
    fn new(start: usize, code: &'a [u8]) -> Self {
        let mut formatter = IntelFormatter::new();
        let options = formatter.options_mut();
        options.set_hex_prefix("0x");
        options.set_hex_suffix("");
        options.set_uppercase_hex(false);
        options.set_space_after_operand_separator(true);
        options.set_branch_leading_zeros(false);
        options.set_rip_relative_addresses(false);
        options.set_show_branch_size(false);
        Self {
            decoder: Decoder::with_ip(64, code, start as u64, DecoderOptions::NONE),
            code,
            formatter,
            info: InstructionInfoFactory::new(),
            start,
        }
    }
}

impl Iterator for Reader<'_> {
    type Item = Instruction;

    fn next(&mut self) -> Option<Instruction> {
        if !self.decoder.can_decode() {
            return None;
        }
        let raw = self.decoder.decode();
        let address = raw.ip() as usize;
        let at = address - self.start;
        let bytes = self.code.get(at..at + raw.len())?.to_vec();
        let mut text = String::new();
        self.formatter.format(&raw, &mut text);
        let direct = matches!(raw.op0_kind(), OpKind::NearBranch64) && raw.op_count() > 0;
        let registers = self.info.info(&raw);
        let vector = registers
            .used_registers()
            .iter()
            .any(|used| used.register().is_vector_register());
        let (isa, packed) = isa::classify(&raw, vector);
        Some(Instruction {
            address,
            bytes,
            text,
            flow: flow(&raw),
            target: direct.then(|| raw.near_branch_target() as usize),
            data: raw
                .is_ip_rel_memory_operand()
                .then(|| raw.ip_rel_memory_address() as usize),
            isa,
            packed,
        })
    }
}

fn flow(raw: &iced_x86::Instruction) -> Flow {
    match raw.flow_control() {
        FlowControl::UnconditionalBranch | FlowControl::IndirectBranch => Flow::Jump,
        FlowControl::ConditionalBranch | FlowControl::XbeginXabortXend => Flow::Branch,
        FlowControl::Call | FlowControl::IndirectCall => Flow::Call,
        FlowControl::Return => Flow::Return,
        FlowControl::Interrupt | FlowControl::Exception => Flow::Trap,
        FlowControl::Next if raw.mnemonic() == Mnemonic::Hlt => Flow::Trap,
        FlowControl::Next => Flow::Next,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes bytes that were made by an assembler.
    pub(super) fn read(code: &[u8]) -> Vec<Instruction> {
        Reader::new(0x1000, code).collect()
    }

    #[test]
    fn flow_and_targets() {
        // jmp +0; je -4; call +0; lea rax, [rip+0x10]; jmp [rip+8]; ret; ud2
        let code = [
            0xeb, 0x00, 0x74, 0xfc, 0xe8, 0, 0, 0, 0, 0x48, 0x8d, 0x05, 0x10, 0, 0, 0, 0xff, 0x25,
            8, 0, 0, 0, 0xc3, 0x0f, 0x0b,
        ];
        let found = read(&code);
        let flows: Vec<Flow> = found.iter().map(|one| one.flow).collect();
        let expected = [
            Flow::Jump,
            Flow::Branch,
            Flow::Call,
            Flow::Next,
            Flow::Jump,
            Flow::Return,
            Flow::Trap,
        ];
        assert_eq!(flows, expected);
        let targets: Vec<_> = found.iter().map(|one| one.target).collect();
        assert_eq!(targets[..3], [Some(0x1002), Some(0x1000), Some(0x1009)]);
        assert_eq!(
            (targets[4], found[3].data, found[4].data),
            (None, Some(0x1020), Some(0x101e))
        );
        assert_eq!(loops(&found), [0..=1]);
    }

    #[test]
    fn a_function_ends_where_no_jump_reaches_over() {
        // je over the first ret; ret; ret; nop
        let code = Box::leak(Box::new([0x74u8, 0x01, 0xc3, 0xc3, 0x90]));
        let found = decode_function(code.as_ptr().addr(), 100);
        assert_eq!(found.len(), 3);
        let text: Vec<_> = found.iter().map(|one| one.text.as_str()).collect();
        assert_eq!(text[1..], ["ret", "ret"]);
    }

    #[test]
    fn nothing_is_decoded_where_nothing_is_mapped() {
        assert!(decode(0, 100, 10).is_empty() && decode_function(usize::MAX - 5, 10).is_empty());
        assert_eq!(plt_got_entry(8), None);
    }
}
