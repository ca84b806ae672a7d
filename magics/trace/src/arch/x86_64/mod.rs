//! What depends on the processor, on x86-64.

pub(crate) mod clock;
pub(crate) mod instructions;
pub(crate) mod jumps;
pub(crate) mod patching;
pub(crate) mod pieces;
pub(crate) mod signal_frames;
