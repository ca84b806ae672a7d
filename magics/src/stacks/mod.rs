//! The threads of a process at one moment, with their Python and native functions in one stack.

pub(crate) mod merged;
pub(crate) mod now;
pub(crate) mod outside;
pub(crate) mod pools;
pub(crate) mod snapshot;
pub(crate) mod woven;
