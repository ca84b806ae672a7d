//! The small pieces of code that hooks lead to, which nothing writes yet.

/// What fills up code, and is never run: zeros are no instruction.
pub const FILL: u8 = 0;
/// The room for a `recording` piece.
pub const RECORDING: usize = 40;
/// The room for a `numbered` piece.
pub const NUMBERED: usize = 24;

/// There is no such code here.
pub fn recording(_number: u32, _recorder: usize, _target: usize) -> Option<[u8; RECORDING]> {
    None
}

/// There is no such code here.
pub fn call_recorder(_number: u32, _here: usize, _slot: usize) -> Option<Vec<u8>> {
    None
}

/// There is no such code here.
pub fn numbered(_number: u32, _function: usize) -> Option<[u8; NUMBERED]> {
    None
}

/// There is no such code here.
pub fn noting(_noted: usize, _function: usize, _behind_first: bool) -> Option<Vec<u8>> {
    None
}
