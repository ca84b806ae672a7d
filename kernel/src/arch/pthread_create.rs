//! The entry of `pthread_create`, for this processor; a part of `pthread_create`.

#[cfg(target_arch = "aarch64")]
#[path = "aarch64/pthread_create.rs"]
mod machine;
#[cfg(target_arch = "x86_64")]
#[path = "x86_64/pthread_create.rs"]
mod machine;
