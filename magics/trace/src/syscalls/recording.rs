//! What was recorded, as values.

use std::time::Duration;

/// One system call.
#[derive(Debug, Clone)]
pub struct Call {
    /// The thread that made it.
    pub tid: i32,
    /// Its number.
    pub number: i64,
    /// Its arguments, as they were in the registers.
    pub arguments: [usize; 6],
    /// When it was made, since the recording began.
    pub began_ns: u64,
    /// How long it took; `None` where it had not returned, or its end could not be timed.
    pub took_ns: Option<u64>,
    /// What it returned, a negative number being an error; `None` as long as it had not returned.
    pub result: Option<isize>,
    /// The thread's registers and a piece of its stack.
    pub registers: Registers,
    /// Copies of what arguments point to.
    pub texts: Vec<(usize, Vec<u8>)>,
    /// The index of the place where the interpreter was.
    pub place: Option<usize>,
}

/// Where a call was made.
#[derive(Debug, Clone, Default)]
pub struct Registers {
    /// The next instruction.
    pub code: usize,
    /// The stack pointer.
    pub stack: usize,
    /// rbx, rbp, r12 to r15.
    pub kept: [usize; 6],
    /// The stack from its pointer on.
    pub copy: Vec<u8>,
}

/// What was recorded.
#[derive(Debug, Default)]
pub struct SyscallRecording {
    /// The calls of all threads, in the order of their beginnings.
    pub calls: Vec<Call>,
    /// What the callback said, each once.
    pub places: Vec<Vec<u8>>,
    /// The threads that took part.
    pub threads: Vec<i32>,
    /// How many of them live on; each leaves at its next system call.
    pub still_running: usize,
    /// Calls that found no room.
    pub lost: u64,
    /// Threads that could not be followed to their ends.
    pub left_out: u64,
    /// How long it ran.
    pub elapsed_ns: u64,
    /// Calls that were made and not written down, since nobody wanted them.
    pub skipped: u64,
    /// Nanoseconds by which the recording made one call longer, if that is known.
    pub call_ns: Option<f64>,
    /// Whether this is a child that was forked meanwhile.
    pub forked: bool,
}

impl SyscallRecording {
    /// What something would have taken without the recording that took so long with it, on the thread that began.
    #[must_use]
    pub fn plain(&self, elapsed: Duration, tid: i32) -> Option<Duration> {
        let calls = self.calls.iter().filter(|call| call.tid == tid).count();
        let cost = self.call_ns? * (calls as f64 + self.skipped as f64);
        Some(elapsed.saturating_sub(Duration::from_nanos(cost as u64)))
    }
}

impl Call {
    /// The copy of what an argument points to.
    #[must_use]
    pub fn text(&self, argument: usize) -> Option<&[u8]> {
        let mut texts = self.texts.iter();
        let (_, text) = texts.find(|(number, _)| *number == argument)?;
        Some(text)
    }

    /// The error that it returned.
    #[must_use]
    pub fn error(&self) -> Option<i32> {
        let result = self.result.filter(|result| (-4095..0).contains(result))?;
        i32::try_from(-result).ok()
    }
}
