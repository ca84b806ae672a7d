//! The system calls of the threads that take part, intercepted in the process itself and without privileges.
//!
//! Linux can send every system call of a thread to a signal handler (Syscall User Dispatch). The handler makes the call
//! in the thread's place and writes down number, arguments, result, times and who called. The thread that begins takes
//! part, and so do threads that such threads start; children do not, since the kernel ends it for them.
//!
//! What the C library answers without the kernel (the time, mostly) is no system call, and is not seen.

#[path = "../arch/syscalls.rs"]
mod dispatched;
mod recording;

use std::time::Instant;

use diaphane_forks::ForkOnce;

pub use dispatched::{RunningSyscalls, begin, install_handler};
pub use recording::{Call, Registers, SyscallRecording};

/// The C library's `sigaction`.
pub type Install = unsafe extern "C" fn(
    std::ffi::c_int,
    *const libc::sigaction,
    *mut libc::sigaction,
) -> std::ffi::c_int;

/// How a recording is to be made.
#[derive(Debug, Clone, Copy)]
pub struct SyscallPlan {
    /// How many bytes each thread may write.
    pub capacity: usize,
    /// Which calls are written down, by their numbers; the others are only made.
    pub only: Option<fn(i64) -> bool>,
    /// Whether a piece of the stack is copied, by which callers are found.
    pub stacks: bool,
    /// An address of the stack, below which all lies that is recorded on the thread that begins; 0 where that is what it
    /// calls from now on.
    pub floor: usize,
    /// Who says where the thread is that begins.
    pub callback: Option<SignalSafeCallback>,
}

/// By how many nanoseconds a recording makes one system call longer, measured once: a call is made again and again, with
/// and without.
#[must_use]
pub fn call_ns(plan: SyscallPlan) -> Option<f64> {
    static KNOWN: ForkOnce<f64> = ForkOnce::new();
    const CALLS: u32 = 300;
    const ROOM: usize = 4 << 20;
    let timed = || {
        let began = Instant::now();
        for _ in 0..CALLS {
            let _ = rustix::process::getppid();
        }
        began.elapsed().as_nanos() as f64 / f64::from(CALLS)
    };
    if KNOWN.get().is_none() {
        let plain = timed().min(timed());
        let capacity = ROOM.min(plan.capacity);
        let running = begin(SyscallPlan { capacity, ..plan }).ok()?;
        let recorded = timed().min(timed());
        drop(running.end());
        KNOWN.get_or_init(|| (recorded - plain).max(0.0));
    }
    KNOWN.get().copied()
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

impl SignalSafeCallback {
    /// A callback.
    #[must_use]
    pub fn new(note: fn(usize, &mut [usize; 2], &mut [u8]) -> usize, argument: usize) -> Self {
        Self { note, argument }
    }
}

/// Why nothing is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SyscallsRefused {
    /// There is one recording at a time.
    #[error("another recording of system calls is running")]
    Busy,
    /// The processor, the kernel or a sandbox does not let us.
    #[error("this system does not dispatch system calls to a program (error {0})")]
    Unsupported(i32),
}
