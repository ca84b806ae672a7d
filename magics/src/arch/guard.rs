//! The way into a cell and back from a fault, for this processor; a part of `rust_cells::guard`.

#[cfg(target_arch = "aarch64")]
#[path = "aarch64/guard.rs"]
mod machine;
#[cfg(target_arch = "x86_64")]
#[path = "x86_64/guard.rs"]
mod machine;

pub(super) use machine::{guarded, leave, pc};
