//! Machine code that is changed while the process runs, which nothing does yet.

/// Whether hooks can be written: `inline_hooks`, `trampolines` and `linker_events` do not know these instructions.
pub const PATCHED: bool = false;

/// Not asked.
pub fn has_shadow_stack() -> bool {
    false
}

/// Does nothing.
pub fn prefetch(_address: usize) {}
