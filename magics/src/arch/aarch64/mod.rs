//! What depends on the processor, on AArch64.

pub(crate) mod fault_recovery;
pub(crate) mod features;
pub(crate) mod system_calls;
