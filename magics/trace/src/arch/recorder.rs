//! The code that hooks call, for this processor; a part of `recorder`.

#[cfg(target_arch = "aarch64")]
#[path = "aarch64/recorder.rs"]
mod machine;
#[cfg(target_arch = "x86_64")]
#[path = "x86_64/recorder.rs"]
mod machine;

pub use machine::*;
