//! The interception of system calls, for this processor; a part of `syscalls`.

#[cfg(target_arch = "aarch64")]
#[path = "aarch64/syscalls.rs"]
mod machine;
#[cfg(target_arch = "x86_64")]
#[path = "x86_64/syscalls/mod.rs"]
mod machine;

pub use machine::*;
