//! Calls of AArch64 by their bytes, which nothing knows yet: callers are found by call frame information alone.

use crate::arch::CallTarget;

/// Every instruction is as long.
pub const LONGEST: usize = 4;
/// As many bytes of an entry of the procedure linkage table are looked at.
pub const PLT_ENTRY: usize = 16;

/// Not known.
pub fn is_call(_before: &[u8]) -> bool {
    false
}

/// Not known.
pub fn called(_address: usize, _before: &[u8]) -> Option<CallTarget> {
    None
}

/// Not known.
pub fn plt_pointer(_address: usize, _entry: &[u8]) -> Option<usize> {
    None
}
