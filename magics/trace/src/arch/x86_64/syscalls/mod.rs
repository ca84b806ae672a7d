//! System calls by Syscall User Dispatch, which Linux has on x86-64.

mod asm;
mod capture_spec;
mod dispatch;
mod handlers;
mod log_memory;
mod masks;
mod read;
mod running;
mod state;

pub use handlers::install_handler;
pub use running::{RunningSyscalls, begin};

use running::{
    ACTIVE, CAPACITY, LEFT_OUT, PROCESS, STACKS, callback, clean_up, forget_in_child, is_wanted,
};

/// What to copy of a call's arguments; the number is the argument's.
#[derive(Debug, Clone, Copy)]
enum Copied {
    /// A text that ends with NUL.
    Path(u8),
    /// Bytes that the kernel reads.
    Bytes(u8, Length),
    /// Bytes that the kernel writes.
    Filled(u8, Length),
}

/// How many bytes an argument points to.
#[derive(Debug, Clone, Copy)]
enum Length {
    Fixed(usize),
    Argument(u8),
    Result,
}
