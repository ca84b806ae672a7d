//! Whether `code::instructions` can decode this processor's code.

/// No decoder is built in.
pub const DECODED: bool = false;
