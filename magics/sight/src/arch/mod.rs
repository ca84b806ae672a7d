//! What depends on the processor.

pub mod float;
