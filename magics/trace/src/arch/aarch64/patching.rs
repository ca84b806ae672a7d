//! Machine code that is changed while the process runs, which nothing does yet.

/// Whether hooks can be written: `instructions`, `jumps` and `pieces` do not know how.
pub const PATCHED: bool = false;

/// Not asked.
pub fn has_shadow_stack() -> bool {
    false
}

/// Does nothing.
pub fn prefetch(_address: usize) {}
