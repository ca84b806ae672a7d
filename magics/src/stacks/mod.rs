//! The threads of a process at one moment, with their Python and native functions in one stack.

pub(crate) mod authors;
pub(crate) mod cell_source;
#[rustfmt::skip]
pub(crate) mod fields;
pub(crate) mod live_pools;
pub(crate) mod main_stack;
pub(crate) mod merged;
pub(crate) mod monitor;
pub(crate) mod now;
pub(crate) mod other_process;
pub(crate) mod snapshot;
pub(crate) mod told;
pub(crate) mod waits;
pub(crate) mod woven;
