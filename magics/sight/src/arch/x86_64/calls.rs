//! Calls of x86-64 by their bytes.

use crate::arch::CallTarget;

/// The longest form of a call.
pub const LONGEST: usize = 8;
/// As many bytes of an entry of the procedure linkage table are looked at.
pub const PLT_ENTRY: usize = 16;

/// Whether bytes end with one of the forms of a call.
pub fn is_call(before: &[u8]) -> bool {
    let at = |back: usize| {
        before
            .len()
            .checked_sub(back)
            .and_then(|index| before.get(index))
            .copied()
    };
    // `call rel32`, and the forms through a register or memory, of two to seven bytes, whose second has 2 in its middle.
    let through = |length: usize| {
        at(length) == Some(0xff) && at(length - 1).is_some_and(|mode| mode & 0x38 == 0x10)
    };
    at(5) == Some(0xe8) || (2..=7).any(through)
}

/// Where the call leads whose last bytes these are, and that ends at an address; `None` where a register decided.
pub fn called(address: usize, before: &[u8]) -> Option<CallTarget> {
    let near = |offset: [u8; 4]| address.wrapping_add_signed(i32::from_le_bytes(offset) as isize);
    let end = |length: usize| {
        before
            .len()
            .checked_sub(length)
            .map(|start| &before[start..])
    };
    match (end(5)?, end(6)?) {
        (&[0xe8, a, b, c, d], _) => Some(CallTarget::Code(near([a, b, c, d]))),
        (_, &[0xff, 0x15, a, b, c, d]) => Some(CallTarget::Pointer(near([a, b, c, d]))),
        _ => None,
    }
}

/// Where the pointer lies through which an entry of the procedure linkage table jumps; `None` where it is other code.
pub fn plt_pointer(address: usize, entry: &[u8]) -> Option<usize> {
    // `endbr64`, which not every entry has, then `jmp *offset(%rip)`, which may have a prefix.
    let marked = entry
        .strip_prefix(&[0xf3, 0x0f, 0x1e, 0xfa])
        .unwrap_or(entry);
    let jump = marked.strip_prefix(&[0xf2]).unwrap_or(marked);
    let Some(&[0xff, 0x25, a, b, c, d]) = jump.first_chunk::<6>() else {
        return None;
    };
    let next = address + (entry.len() - jump.len()) + 6;
    Some(next.wrapping_add_signed(i32::from_le_bytes([a, b, c, d]) as isize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_known_by_their_bytes() {
        // As objdump shows them: e8 fb ff ff ff, ff d0, 41 ff d3, ff 50 10, ff 15 .. .. .. .., ff 94 24 .. .. .. ..
        let calls: [&[u8]; 6] = [
            &[0xe8, 0xfb, 0xff, 0xff, 0xff],
            &[0xff, 0xd0],
            &[0x41, 0xff, 0xd3],
            &[0xff, 0x50, 0x10],
            &[0xff, 0x15, 1, 2, 3, 4],
            &[0xff, 0x94, 0x24, 1, 2, 3, 4],
        ];
        for call in calls {
            assert!(
                is_call(&[&[0x90; 8][call.len()..], call].concat()),
                "{call:x?}"
            );
        }
        assert!(!is_call(&[0x90; 8]) && !is_call(&[]) && !is_call(&[0xff, 0xe0]));
        let near = [0x90, 0xe8, 0xf0, 0xff, 0xff, 0xff];
        assert_eq!(called(0x1000, &near), Some(CallTarget::Code(0xff0)));
        let through = [0xff, 0x15, 0x10, 0, 0, 0];
        assert_eq!(called(0x1000, &through), Some(CallTarget::Pointer(0x1010)));
        assert_eq!(called(0x1000, &[0x90; 8]), None);
    }

    #[test]
    fn an_entry_of_the_plt_is_known_by_its_jump() {
        let plain = [0xff, 0x25, 0x10, 0, 0, 0, 0x90, 0x90];
        assert_eq!(plt_pointer(0x1000, &plain), Some(0x1016));
        let marked = [0xf3, 0x0f, 0x1e, 0xfa, 0xf2, 0xff, 0x25, 0x10, 0, 0, 0];
        assert_eq!(plt_pointer(0x1000, &marked), Some(0x101b));
        assert_eq!(plt_pointer(0x1000, &[0x55; 16]), None);
    }
}
