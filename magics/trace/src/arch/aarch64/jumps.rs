//! Jumps over the beginnings of functions, which nothing writes yet.

/// The bytes of a jump to anywhere within `REACH`.
pub const JUMP: usize = 4;
/// A jump reaches 128 megabytes; a little is left for the ends.
pub const REACH: usize = (128 << 20) - (1 << 20);
/// The bytes of a jump to anywhere.
pub const FAR_JUMP: usize = 16;
/// So much of a function is looked at for such a jump.
pub const HEAD: usize = 4 + FAR_JUMP;

/// Not written.
pub fn jump(_from: usize, _to: usize) -> Option<[u8; JUMP]> {
    None
}

/// Not written, since no function is found fit for it.
pub fn far_jump(_to: usize) -> [u8; FAR_JUMP] {
    [0; FAR_JUMP]
}

/// Not known.
pub fn first(_code: &[u8]) -> usize {
    0
}

/// Not known.
pub fn is_breakpoint(_code: &[u8]) -> bool {
    false
}

/// Not known.
pub fn only_returns(_code: &[u8]) -> bool {
    false
}
