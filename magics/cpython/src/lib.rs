//! The one door to CPython's private structures: where they are, whether they are where they should be, and what they
//! say, in this process and in others.

mod check;
pub mod dicts;
pub mod events;
pub mod extensions;
pub mod frames;
pub mod here;
pub mod interpreter;
pub mod interrupts;
pub mod lazy;
pub mod locals;
pub mod modules;
mod opcodes;
pub mod other_process;
mod own_layout;
pub mod reader;
mod support;
pub mod symbols;
pub mod variables;
mod versions;

pub use check::check;
pub use support::support;
