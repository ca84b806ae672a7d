//! What depends on the processor: `x86_64/` and `aarch64/` have the same files with the same functions, and this folder is
//! the one place that chooses between them. What a processor lacks refuses, or answers `None` or `false` there.
//!
//! `recorder.rs` and `syscalls.rs` are parts of the rooms of these names, whose structures their assembly knows; the
//! others know no room.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
pub(crate) use aarch64::{clock, instructions, jumps, patching, pieces, signal_frames};
#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64::{clock, instructions, jumps, patching, pieces, signal_frames};

/// What an instruction does to the flow of control.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    /// The next instruction follows.
    Next,
    /// It may go elsewhere.
    Branch,
    /// It goes elsewhere.
    Jump,
    /// It goes to where a register or memory says.
    IndirectJump,
    /// It goes elsewhere and comes back.
    Call,
    /// It returns, or traps.
    End,
}
