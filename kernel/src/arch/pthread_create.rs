//! What of `pthread_create` depends on the processor; a part of that room.

#[cfg(target_arch = "aarch64")]
#[path = "aarch64/pthread_create.rs"]
mod machine;
#[cfg(target_arch = "x86_64")]
#[path = "x86_64/pthread_create.rs"]
mod machine;

pub(crate) use machine::pass_on_caller;
