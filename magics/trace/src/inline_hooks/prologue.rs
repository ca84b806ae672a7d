//! The first instructions of a function: which of them make room for a jump, and how they are moved.
//!
//! Each instruction is encoded on its own for its new place. An encoder that is given several at once takes an operand
//! that points at one of them for a label, and a function that compares its own address would never find it.

use diaphane_sight::proc::spans::Span;
use iced_x86::{
    BlockEncoder, BlockEncoderOptions, Code, Decoder, DecoderOptions, Encoder, FlowControl,
    Instruction, InstructionBlock, Mnemonic, Register,
};
use serde::Serialize;

use super::branches::Branches;
use super::functions::Function;
use super::text::Text;
use crate::arch::code::has_shadow_stack;

/// The bytes of a jump to anywhere within two gigabytes.
pub(super) const JUMP: usize = 5;
/// No instruction is longer.
const LONGEST: usize = 15;

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
    let mut decoder = Decoder::with_ip(64, code, start as u64, DecoderOptions::NONE);
    let mut instructions: Vec<Instruction> = Vec::new();
    let mut at = start;
    let mut next = Some(start);
    while let Some(here) = next.filter(|here| *here < at + JUMP) {
        let instruction = decoder.decode();
        if instruction.is_invalid() || here >= function.span.end {
            return Err(if here >= function.span.end {
                Reason::Short
            } else {
                Reason::Unreadable
            });
        }
        let behind = instruction.next_ip() as usize;
        if here == start && instruction.code() == Code::Endbr64 {
            (at, next) = (behind, Some(behind));
            continue;
        }
        next = goes_on(&instruction, at)?.then_some(behind);
        instructions.push(instruction);
    }
    let moved = instructions
        .last()
        .map_or(at, |last| last.next_ip() as usize);
    let patched = Span::new(at, at + JUMP);
    let behind = Span::new(at + 1, patched.end);
    if text.is_changed(Span::new(start, moved.max(patched.end))) {
        return Err(Reason::Changed);
    }
    if patched.end > end
        || !is_padding(
            text.bytes(Span::new(moved, patched.end)),
            patched.end,
            moved,
        )
    {
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
    match instruction.flow_control() {
        FlowControl::Next | FlowControl::ConditionalBranch => Ok(true),
        FlowControl::UnconditionalBranch
        | FlowControl::IndirectBranch
        | FlowControl::Return
        | FlowControl::Exception => Ok(false),
        FlowControl::Call | FlowControl::IndirectCall => {
            let returns = instruction.next_ip() as usize;
            let can = returns >= at + JUMP && !has_shadow_stack() && as_jump(instruction).is_some();
            // The function goes on where the call returns, which is not in the copy.
            if can { Ok(false) } else { Err(Reason::Calls) }
        }
        FlowControl::Interrupt | FlowControl::XbeginXabortXend => Err(Reason::Unreadable),
    }
}

/// The jump to where a call leads.
fn as_jump(call: &Instruction) -> Option<Instruction> {
    let mut jump = *call;
    match call.code() {
        Code::Call_rel32_64 => jump.set_code(Code::Jmp_rel32_64),
        // The stack pointer has changed by then.
        Code::Call_rm64
            if call.memory_base() != Register::RSP && call.op0_register() != Register::RSP =>
        {
            jump.set_code(Code::Jmp_rm64);
        }
        _ => return None,
    }
    Some(jump)
}

/// Whether the bytes between what is moved and the end of the jump do nothing; there may be none.
fn is_padding(bytes: &[u8], end: usize, moved: usize) -> bool {
    if bytes.len() < end.saturating_sub(moved) {
        return false;
    }
    // The last one may be longer than what is left of it here.
    let mut decoder = Decoder::with_ip(64, bytes, moved as u64, DecoderOptions::NONE);
    while decoder.can_decode() {
        let instruction = decoder.decode();
        let idle = matches!(instruction.mnemonic(), Mnemonic::Nop | Mnemonic::Int3);
        if !idle && !is_cut_nop(&bytes[instruction.ip() as usize - moved..]) {
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
            let from = instruction.ip() as usize - self.at;
            moves.push((u8::try_from(from).ok()?, u8::try_from(code.len()).ok()?));
            append(instruction, trampoline + code.len(), code, text)?;
        }
        if let Some(next) = self.next {
            code.extend(jump(trampoline + code.len(), next)?);
        }
        Some(moves)
    }
}

/// Appends one instruction for its new place.
fn append(instruction: &Instruction, here: usize, code: &mut Vec<u8>, text: &Text) -> Option<()> {
    if matches!(
        instruction.flow_control(),
        FlowControl::Call | FlowControl::IndirectCall
    ) {
        // `lea rsp, [rsp-8]; mov dword ptr [rsp], low; mov dword ptr [rsp+4], high`: a call is a jump with a return
        // address on the stack, and these leave the flags alone.
        let back = instruction.next_ip().to_le_bytes();
        let first = code.len();
        code.extend([0x48, 0x8d, 0x64, 0x24, 0xf8, 0xc7, 0x04, 0x24]);
        code.extend_from_slice(&back[..4]);
        code.extend([0xc7, 0x44, 0x24, 0x04]);
        code.extend_from_slice(&back[4..]);
        let here = here + code.len() - first;
        return encode(&as_jump(instruction)?, here, code);
    }
    let relative = instruction.is_ip_rel_memory_operand();
    let branch = !matches!(
        instruction.flow_control(),
        FlowControl::Next | FlowControl::Return | FlowControl::Exception
    );
    if branch && !relative && !matches!(instruction.flow_control(), FlowControl::IndirectBranch) {
        let alone = [*instruction];
        let block = InstructionBlock::new(&alone, here as u64);
        let encoded = BlockEncoder::encode(64, block, BlockEncoderOptions::NONE).ok()?;
        code.extend(encoded.code_buffer);
    } else if relative {
        encode(instruction, here, code)?;
    } else {
        let span = Span::new(instruction.ip() as usize, instruction.next_ip() as usize);
        code.extend_from_slice(text.bytes(span));
    }
    Some(())
}

fn encode(instruction: &Instruction, here: usize, code: &mut Vec<u8>) -> Option<()> {
    let mut encoder = Encoder::new(64);
    encoder.encode(instruction, here as u64).ok()?;
    code.extend(encoder.take_buffer());
    Some(())
}

/// A jump from one address to another.
pub(super) fn jump(from: usize, to: usize) -> Option<[u8; JUMP]> {
    let distance = to.wrapping_sub(from + JUMP).cast_signed();
    let [a, b, c, d] = i32::try_from(distance).ok()?.to_le_bytes();
    Some([0xe9, a, b, c, d])
}
