//! The system calls of the threads that take part, intercepted in the process itself and without privileges.
//!
//! Linux can send every system call of a thread to a signal handler (Syscall User Dispatch). The handler makes the call
//! in the thread's place and writes down number, arguments, result, times and who called. The thread that begins takes
//! part, and so do threads that such threads start; children do not, since the kernel ends it for them.
//!
//! What the C library answers without the kernel (the time, mostly) is no system call, and is not seen.

#[cfg(target_arch = "x86_64")]
mod asm;
#[cfg(target_arch = "x86_64")]
mod capture_spec;
#[cfg(target_arch = "x86_64")]
mod dispatch;
#[cfg(target_arch = "x86_64")]
mod handlers;
#[cfg(target_arch = "x86_64")]
mod masks;
mod read;
#[cfg(target_arch = "x86_64")]
mod running;
#[cfg(target_arch = "x86_64")]
mod state;

#[cfg(not(target_arch = "x86_64"))]
#[path = "elsewhere.rs"]
mod running;

#[cfg(target_arch = "x86_64")]
pub use handlers::install_handler;
pub use read::{Call, Recording, Registers};
pub use running::{Running, begin};

#[cfg(target_arch = "x86_64")]
use running::{
    ACTIVE, CAPACITY, LEFT_OUT, PROCESS, STACKS, callback, clean_up, forget_in_child, is_wanted,
};

/// How a recording is to be made.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// How many bytes each thread may write.
    pub capacity: usize,
    /// Which calls are written down, by their numbers; the others are only made.
    pub only: Option<fn(i64) -> bool>,
    /// Whether a piece of the stack is copied, by which callers are found.
    pub stacks: bool,
    /// Who says where the thread is that begins.
    pub callback: Option<SignalSafeCallback>,
}

/// Says where an interpreter is, in bytes that only its maker understands.
#[derive(Debug, Clone, Copy)]
pub struct SignalSafeCallback {
    /// Writes the place, unless it is the one that the two words remember, and says how much it wrote. It runs in a
    /// signal handler: no lock, no memory, no system call.
    pub note: fn(usize, &mut [usize; 2], &mut [u8]) -> usize,
    /// What it is given.
    pub argument: usize,
}

/// Why nothing is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is one recording at a time.
    #[error("another recording of system calls is running")]
    Busy,
    /// The processor, the kernel or a sandbox does not let us.
    #[error("this system does not dispatch system calls to a program (error {0})")]
    Unsupported(i32),
}

/// What to copy of a call's arguments; the number is the argument's.
#[cfg(target_arch = "x86_64")]
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
#[cfg(target_arch = "x86_64")]
#[derive(Debug, Clone, Copy)]
enum Length {
    Fixed(usize),
    Argument(u8),
    Result,
}
