//! Runtime libraries: thread pools and malloc.

pub mod getters;
pub mod malloc;
pub mod pools;
pub mod stdio;
