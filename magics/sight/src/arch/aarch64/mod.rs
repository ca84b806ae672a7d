//! What depends on the processor, on AArch64.

pub(crate) mod calls;
pub(super) mod float;
pub(crate) mod instructions;
pub(crate) mod registers;
pub(crate) mod relocations;
