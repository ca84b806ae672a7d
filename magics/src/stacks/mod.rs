//! The threads of a process at one moment, with their Python and native functions in one stack.

#[rustfmt::skip]
pub(crate) mod fields;
pub(crate) mod live_pools;
pub(crate) mod merged;
pub(crate) mod now;
pub(crate) mod other_process;
pub(crate) mod snapshot;
pub(crate) mod woven;
