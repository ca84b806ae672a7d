//! What depends on the processor: `x86_64/` and `aarch64/` have the same files with the same functions, and this is the
//! one place that chooses between them. What a processor lacks answers `None` or `false` there.

pub mod float;
pub(crate) mod instruction;

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
pub(crate) use aarch64::{calls, instructions, registers, relocations};
#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64::{calls, instructions, registers, relocations};

#[cfg(target_arch = "aarch64")]
use aarch64::float as control;
#[cfg(target_arch = "x86_64")]
use x86_64::float as control;

/// Keeps the names that a linker gives to both ends of a section out of what the file exports.
macro_rules! hide_ends {
    ($section:literal) => {
        #[allow(unsafe_code, reason = "words for the linker, and no instruction")]
        mod ends {
            std::arch::global_asm!(
                concat!(".globl __start_", $section),
                concat!(".hidden __start_", $section),
                concat!(".globl __stop_", $section),
                concat!(".hidden __stop_", $section)
            );
        }
    };
}
pub(crate) use hide_ends;

/// Where a call leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallTarget {
    /// To this address.
    Code(usize),
    /// To what the pointer at this address holds.
    Pointer(usize),
}
