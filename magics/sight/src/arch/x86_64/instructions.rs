//! Whether `code::instructions` can decode this processor's code.

/// `iced-x86` does.
pub const DECODED: bool = true;
