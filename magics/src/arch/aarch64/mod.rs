//! What depends on the processor, on AArch64.

pub(crate) mod features;
pub(crate) mod guard;
pub(crate) mod system_calls;
