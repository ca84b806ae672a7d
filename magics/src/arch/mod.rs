//! What depends on the processor: `x86_64/` and `aarch64/` have the same files with the same functions, and this folder is
//! the one place that chooses between them. It knows no room.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
pub(crate) use aarch64::{fault_recovery, features, system_calls};
#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64::{fault_recovery, features, system_calls};
