//! The decoder of x86-64's instructions, which is `iced-x86`.

mod isa;

use iced_x86::{
    Decoder, DecoderOptions, FlowControl, Formatter, InstructionInfoFactory, IntelFormatter,
    Mnemonic, OpKind,
};

use crate::arch::instruction::{Flow, Instruction};

/// Whether code can be decoded.
pub const DECODED: bool = true;
/// No instruction is longer.
pub const LONGEST: usize = 15;

/// The instructions in bytes that lie at an address.
pub fn decoded(start: usize, code: &[u8]) -> impl Iterator<Item = Instruction> {
    Reader::new(start, code)
}

/// Whether an instruction only marks that indirect jumps may land there.
pub fn is_mark(instruction: &Instruction) -> bool {
    instruction.text.starts_with("endbr")
}

/// What a processor must have for the first instruction of these bytes, beyond what every one of its kind has; by the
/// kernel's names.
pub fn needed_features(code: &[u8]) -> Vec<String> {
    isa::features(&Decoder::new(64, code, DecoderOptions::NONE).decode())
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

    #[test]
    fn flow_and_targets() {
        // jmp +0; je -4; call +0; lea rax, [rip+0x10]; jmp [rip+8]; ret; ud2
        let code = [
            0xeb, 0x00, 0x74, 0xfc, 0xe8, 0, 0, 0, 0, 0x48, 0x8d, 0x05, 0x10, 0, 0, 0, 0xff, 0x25,
            8, 0, 0, 0, 0xc3, 0x0f, 0x0b,
        ];
        let found: Vec<_> = decoded(0x1000, &code).collect();
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
    }
}
