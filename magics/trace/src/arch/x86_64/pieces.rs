//! The small pieces of code that hooks lead to. All of them leave the arguments and the stack as they were.

/// What fills up code, and is never run.
pub const FILL: u8 = 0xcc;
/// The room for a `recording` piece.
pub const RECORDING: usize = 40;
/// The room for a `numbered` piece.
pub const NUMBERED: usize = 24;

/// Calls the recorder with a function's number, and goes on to the function: `push rax; mov eax, number; call [recorder];
/// pop rax; jmp [target]`, then the two addresses.
pub fn recording(number: u32, recorder: usize, target: usize) -> Option<[u8; RECORDING]> {
    let mut code = [FILL; RECORDING];
    code[0] = 0x50;
    code[1] = 0xb8;
    code[2..6].copy_from_slice(&number.to_le_bytes());
    // The distances count from the end of the instruction.
    code[6..12].copy_from_slice(&[0xff, 0x15, 24 - 12, 0, 0, 0]);
    code[12] = 0x58;
    code[13..19].copy_from_slice(&[0xff, 0x25, 32 - 19, 0, 0, 0]);
    code[24..32].copy_from_slice(&recorder.to_le_bytes());
    code[32..40].copy_from_slice(&target.to_le_bytes());
    Some(code)
}

/// The same without the way on, for the place `here`; the recorder's address lies at `slot`: `push rax; mov eax, number;
/// call [recorder]; pop rax`.
pub fn call_recorder(number: u32, here: usize, slot: usize) -> Option<Vec<u8>> {
    let mut code = vec![0x50, 0xb8];
    code.extend(number.to_le_bytes());
    code.extend([0xff, 0x15]);
    // The distance counts from the end of the instruction.
    let behind = here + code.len() + 4;
    let distance = i32::try_from(slot.wrapping_sub(behind).cast_signed()).ok()?;
    code.extend(distance.to_le_bytes());
    code.push(0x58);
    Some(code)
}

/// Goes on to a function with a number as its fourth argument: `endbr64; mov ecx, number; movabs rax, function; jmp rax`.
pub fn numbered(number: u32, function: usize) -> Option<[u8; NUMBERED]> {
    let mut code = [FILL; NUMBERED];
    code[..5].copy_from_slice(&[0xf3, 0x0f, 0x1e, 0xfa, 0xb9]);
    code[5..9].copy_from_slice(&number.to_le_bytes());
    code[9..11].copy_from_slice(&[0x48, 0xb8]);
    code[11..19].copy_from_slice(&function.to_le_bytes());
    code[19..21].copy_from_slice(&[0xff, 0xe0]);
    Some(code)
}

/// Gives two arguments and the return address to `noted`, and goes on to the function with its three arguments. The two are
/// the first ones, or those behind the first.
pub fn noting(noted: usize, function: usize, behind_first: bool) -> Option<Vec<u8>> {
    // push rdi; push rsi; push rdx: the stack is aligned then.
    let mut code = vec![0x57, 0x56, 0x52];
    if behind_first {
        // mov rdi, rsi; mov rsi, rdx
        code.extend([0x48, 0x89, 0xf7, 0x48, 0x89, 0xd6]);
    }
    // mov rdx, [rsp + 24]; movabs rax, noted
    code.extend([0x48, 0x8b, 0x54, 0x24, 0x18, 0x48, 0xb8]);
    code.extend(noted.to_le_bytes());
    // call rax; pop rdx; pop rsi; pop rdi; movabs rax, function
    code.extend([0xff, 0xd0, 0x5a, 0x5e, 0x5f, 0x48, 0xb8]);
    code.extend(function.to_le_bytes());
    // jmp rax
    code.extend([0xff, 0xe0]);
    Some(code)
}
