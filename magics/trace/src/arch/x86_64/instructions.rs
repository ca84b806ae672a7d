//! Instructions of x86-64: what they do to the flow of control, what they name, and how one is moved.
//!
//! Each instruction is encoded on its own for its new place. An encoder that is given several at once takes an operand
//! that points at one of them for a label, and a function that compares its own address would never find it.

use diaphane_sight::proc::spans::Span;
use iced_x86::{
    BlockEncoder, BlockEncoderOptions, Code, DecoderOptions, Encoder, FlowControl,
    Instruction as Raw, InstructionBlock, Mnemonic, OpKind, Register,
};

use crate::arch::Flow;

/// No instruction is longer.
pub const LONGEST: usize = 15;
/// The length of the mark that indirect jumps may land there.
pub const MARK: usize = 4;

/// Walks over code, instruction by instruction.
pub struct Decoder<'a>(iced_x86::Decoder<'a>);

/// One instruction, at the address where it was read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Instruction(Raw);

impl<'a> Decoder<'a> {
    /// Over code that lies at an address.
    pub fn new(code: &'a [u8], start: usize) -> Self {
        let options = DecoderOptions::NONE;
        Self(iced_x86::Decoder::with_ip(64, code, start as u64, options))
    }

    /// Reads the next one into a place that is used again; `false` at the end of the code.
    pub fn read(&mut self, into: &mut Instruction) -> bool {
        let more = self.0.can_decode();
        if more {
            self.0.decode_out(&mut into.0);
        }
        more
    }
}

impl Instruction {
    /// Where it lies.
    pub fn span(&self) -> Span {
        Span::new(self.0.ip() as usize, self.0.next_ip() as usize)
    }

    /// What it does to the flow of control; `None` where that cannot be told, or cannot be done elsewhere.
    pub fn flow(&self) -> Option<Flow> {
        match self.0.flow_control() {
            _ if self.0.is_invalid() => None,
            FlowControl::Next => Some(Flow::Next),
            FlowControl::ConditionalBranch => Some(Flow::Branch),
            FlowControl::UnconditionalBranch => Some(Flow::Jump),
            FlowControl::IndirectBranch => Some(Flow::IndirectJump),
            FlowControl::Call | FlowControl::IndirectCall => Some(Flow::Call),
            FlowControl::Return | FlowControl::Exception => Some(Flow::End),
            FlowControl::Interrupt | FlowControl::XbeginXabortXend => None,
        }
    }

    /// Where it leads, if that is written in it.
    pub fn target(&self) -> Option<usize> {
        let near = self.0.op_count() > 0 && self.0.op0_kind() == OpKind::NearBranch64;
        near.then(|| self.0.near_branch_target() as usize)
    }

    /// The address of the data that it names relative to itself.
    pub fn data(&self) -> Option<usize> {
        let relative = self.0.is_ip_rel_memory_operand();
        relative.then(|| self.0.ip_rel_memory_address() as usize)
    }

    /// Whether it is the mark that indirect jumps may land there.
    pub fn is_mark(&self) -> bool {
        self.0.code() == Code::Endbr64
    }

    /// Whether it uses memory below the stack pointer, which a function may do that calls no other.
    pub fn uses_below_the_stack(&self) -> bool {
        self.0.memory_base() == Register::RSP
            && self.0.memory_displacement64().cast_signed() < 0
            && (0..self.0.op_count()).any(|operand| self.0.op_kind(operand) == OpKind::Memory)
    }

    /// Whether it is a call that can be made of a jump and a return address.
    pub fn is_movable_call(&self) -> bool {
        self.as_jump().is_some()
    }

    /// The jump to where a call leads.
    fn as_jump(&self) -> Option<Raw> {
        let mut jump = self.0;
        match jump.code() {
            Code::Call_rel32_64 => jump.set_code(Code::Jmp_rel32_64),
            // The stack pointer has changed by then.
            Code::Call_rm64
                if jump.memory_base() != Register::RSP && jump.op0_register() != Register::RSP =>
            {
                jump.set_code(Code::Jmp_rm64);
            }
            _ => return None,
        }
        Some(jump)
    }

    /// Appends it to code, for the new place `here`; its bytes are `original`.
    pub fn append(&self, here: usize, code: &mut Vec<u8>, original: &[u8]) -> Option<()> {
        let flow = self.flow()?;
        let relative = self.0.is_ip_rel_memory_operand();
        if flow == Flow::Call {
            return self.append_call(here, code);
        }
        if relative {
            return encode(&self.0, here, code);
        }
        if matches!(flow, Flow::Jump | Flow::Branch) {
            // A short one may have to become a long one.
            let alone = [self.0];
            let block = InstructionBlock::new(&alone, here as u64);
            let encoded = BlockEncoder::encode(64, block, BlockEncoderOptions::NONE).ok()?;
            code.extend(encoded.code_buffer);
        } else {
            code.extend_from_slice(original);
        }
        Some(())
    }

    /// A call is a jump with a return address on the stack: `lea rsp, [rsp-8]; mov dword ptr [rsp], low; mov dword ptr
    /// [rsp+4], high`, which leave the flags alone.
    fn append_call(&self, here: usize, code: &mut Vec<u8>) -> Option<()> {
        let back = self.0.next_ip().to_le_bytes();
        let first = code.len();
        code.extend([0x48, 0x8d, 0x64, 0x24, 0xf8, 0xc7, 0x04, 0x24]);
        code.extend_from_slice(&back[..4]);
        code.extend([0xc7, 0x44, 0x24, 0x04]);
        code.extend_from_slice(&back[4..]);
        let here = here + code.len() - first;
        encode(&self.as_jump()?, here, code)
    }
}

fn encode(instruction: &Raw, here: usize, code: &mut Vec<u8>) -> Option<()> {
    let mut encoder = Encoder::new(64);
    encoder.encode(instruction, here as u64).ok()?;
    code.extend(encoder.take_buffer());
    Some(())
}

/// Whether the code between two addresses does nothing; it may be cut in its last instruction, and there may be none.
pub fn is_padding(code: &[u8], span: Span) -> bool {
    if code.len() < span.len() {
        return false;
    }
    let mut decoder = Decoder::new(code, span.start);
    let mut instruction = Instruction::default();
    while decoder.read(&mut instruction) {
        let idle = matches!(instruction.0.mnemonic(), Mnemonic::Nop | Mnemonic::Int3);
        if !idle && !is_cut_nop(&code[instruction.span().start - span.start..]) {
            return false;
        }
    }
    true
}

/// Whether bytes begin like a long `nop` whose end is not there: `cs nopw`, `nopw`, `nopl`.
fn is_cut_nop(bytes: &[u8]) -> bool {
    let prefixes = bytes.iter().take_while(|byte| matches!(byte, 0x66 | 0x2e));
    let rest = &bytes[prefixes.count()..];
    rest.is_empty() || rest == [0x0f] || rest.starts_with(&[0x0f, 0x1f])
}
