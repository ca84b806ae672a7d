//! Jumps that are written over the beginnings of functions.

/// The bytes of a jump to anywhere within `REACH`.
pub const JUMP: usize = 5;
/// A jump reaches two gigabytes; a little is left for the ends.
pub const REACH: usize = (2 << 30) - (1 << 20);
/// The bytes of a jump to anywhere.
pub const FAR_JUMP: usize = 14;
/// So much of a function is looked at for such a jump.
pub const HEAD: usize = ENDBR.len() + FAR_JUMP;

/// What indirect jumps may have to lead to.
const ENDBR: &[u8] = &[0xf3, 0x0f, 0x1e, 0xfa];
const RET: u8 = 0xc3;
const BREAKPOINT: u8 = 0xcc;

/// A jump from one address to another.
pub fn jump(from: usize, to: usize) -> Option<[u8; JUMP]> {
    let distance = to.wrapping_sub(from + JUMP).cast_signed();
    let [a, b, c, d] = i32::try_from(distance).ok()?.to_le_bytes();
    Some([0xe9, a, b, c, d])
}

/// A jump to an address from anywhere: `jmp [rip]`, and the address behind it. Code whose first byte is `RET` may have the
/// rest of it already.
pub fn far_jump(to: usize) -> [u8; FAR_JUMP] {
    let mut jump = [0; FAR_JUMP];
    jump[..2].copy_from_slice(&[0xff, 0x25]);
    jump[6..].copy_from_slice(&to.to_le_bytes());
    jump
}

/// Where in a function a jump may stand: behind the mark for indirect jumps.
pub fn first(code: &[u8]) -> usize {
    if code.starts_with(ENDBR) {
        ENDBR.len()
    } else {
        0
    }
}

/// Whether code begins with a breakpoint.
pub fn is_breakpoint(code: &[u8]) -> bool {
    code.first() == Some(&BREAKPOINT)
}

/// Whether code returns at once, and nothing behind that is ever run.
pub fn only_returns(code: &[u8]) -> bool {
    code.split_first()
        .is_some_and(|(first, rest)| *first == RET && is_filled_up(rest))
}

/// Whether these bytes are never run: assemblers fill up with breakpoints, zeros or long forms of `nop`.
fn is_filled_up(mut bytes: &[u8]) -> bool {
    // The longest `nop` first: with prefixes, `cs nop word ptr [rax + rax]`.
    while let Some((&first, rest)) = bytes.split_first() {
        bytes = match first {
            BREAKPOINT | 0x00 | 0x90 | 0x66 | 0x2e => rest,
            0x0f if rest.first() == Some(&0x1f) => {
                // Its operand takes no more than six bytes, which may lie beyond what we look at.
                let operand = match rest.get(1) {
                    Some(0x00) => 1,
                    Some(0x40) => 2,
                    Some(0x44) => 3,
                    Some(0x80) => 5,
                    Some(0x84) => 6,
                    None => 0,
                    Some(_) => return false,
                };
                rest.get(1 + operand..).unwrap_or_default()
            }
            _ => return false,
        };
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_fills_up_is_padding() {
        // As GCC fills up 15 bytes, and 13 of them; `int3`; code.
        let gcc = [
            0x66, 0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0, 0x0f, 0x1f, 0x40, 0,
        ];
        assert!(is_filled_up(&gcc) && is_filled_up(&gcc[..13]) && is_filled_up(&[0xcc; 13]));
        assert!(!is_filled_up(&[0x90, 0x90, 0x55]) && !is_filled_up(&[0x0f, 0x05]));
        assert!(only_returns(&[RET, 0xcc, 0x90]) && !only_returns(&[0x55, RET]));
    }
}
