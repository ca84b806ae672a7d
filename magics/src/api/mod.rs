//! How a magic is reached: from Python, or by a message while Python is busy.

pub(crate) mod ask;
pub(crate) mod grammar;
pub(crate) mod merge;
pub(crate) mod module;
pub(crate) mod recording;
pub(crate) mod report;
mod thread_stack;
