//! Memory that the kernel and its child share, and what the child writes there about itself.

use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

use crate::error::Error;
use crate::rust_cells::guard::Crash;

/// Zeros that stay the same memory in a child.
#[derive(Debug)]
pub struct SharedMemory {
    pub start: *mut u8,
    len: usize,
}

impl SharedMemory {
    /// So many bytes; only those that are written to take memory.
    pub fn new(len: usize) -> Result<Self, Error> {
        let len = len.max(1);
        let flags = MapFlags::SHARED | MapFlags::NORESERVE;
        // SAFETY: the system chooses where, so nothing that is there is replaced.
        let start = unsafe {
            mmap_anonymous(
                ptr::null_mut(),
                len,
                ProtFlags::READ | ProtFlags::WRITE,
                flags,
            )
        };
        start
            .map(|start| Self {
                start: start.cast(),
                len,
            })
            .map_err(|error| {
                Error::Usage(format!(
                    "%%rust --isolated: there is no memory for {len} bytes that both processes see: {error}"
                ))
            })
    }
}

impl Drop for SharedMemory {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own. It fails for none that exists.
        let _ = unsafe { munmap(self.start.cast(), self.len) };
    }
}

/// How far a child has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Phase {
    /// The cell runs, or its process has ended without a word.
    Runs,
    /// The cell has returned, and the results are written.
    Finished,
    /// A signal ended it.
    Crashed,
    /// It called `exit`.
    Left,
    /// The cell has returned, and its results could not be written.
    Unwritten,
}

/// What a child tells about itself. It is all zero in the beginning, and written to in signal handlers.
#[derive(Debug)]
#[repr(C)]
pub struct StatusPage {
    phase: AtomicU32,
    /// What the entry gave back, or the code that `exit` was called with.
    status: AtomicU32,
    signal: AtomicI32,
    address: AtomicUsize,
    pc: AtomicUsize,
    /// How long the cell ran, in nanoseconds.
    run_ns: AtomicU64,
    /// What went wrong, how long that is, and the line.
    words: [AtomicU8; WORDS],
    said: AtomicUsize,
    line: AtomicU32,
}

/// No more of what went wrong is told.
const WORDS: usize = 32 << 10;

impl StatusPage {
    /// The one at the beginning of this memory.
    pub fn on(shared: &SharedMemory) -> &Self {
        // SAFETY: a page is large enough and aligned, zeros are a status page, and all its fields may change at any time.
        unsafe { &*shared.start.cast::<Self>() }
    }

    /// The child's last word.
    pub fn end(&self, phase: Phase, status: u32) {
        self.status.store(status, Ordering::Relaxed);
        self.phase.store(phase as u32, Ordering::Release);
    }

    /// How long the cell has run.
    pub fn took(&self, nanoseconds: u64) {
        self.run_ns.store(nanoseconds, Ordering::Relaxed);
    }

    /// What went wrong.
    pub fn say(&self, words: &[u8], line: u32) {
        for (to, from) in self.words.iter().zip(words) {
            to.store(*from, Ordering::Relaxed);
        }
        self.said.store(words.len().min(WORDS), Ordering::Relaxed);
        self.line.store(line, Ordering::Relaxed);
    }

    /// What was said last.
    pub fn words(&self) -> (String, u32) {
        let said = self.said.load(Ordering::Relaxed).min(WORDS);
        let words = self.words[..said].iter();
        let words: Vec<u8> = words.map(|one| one.load(Ordering::Relaxed)).collect();
        let words = String::from_utf8_lossy(&words).into_owned();
        (words, self.line.load(Ordering::Relaxed))
    }

    /// A signal ends the child.
    pub fn crash(&self, crash: Crash) {
        self.signal.store(crash.signal, Ordering::Relaxed);
        self.address.store(crash.address, Ordering::Relaxed);
        self.pc.store(crash.pc, Ordering::Relaxed);
        self.end(Phase::Crashed, 0);
    }

    /// How far it has come, and the status of that.
    pub fn read(&self) -> (Phase, u32) {
        let phases = [
            Phase::Finished,
            Phase::Crashed,
            Phase::Left,
            Phase::Unwritten,
        ];
        let phase = self.phase.load(Ordering::Acquire);
        let phase = phases.into_iter().find(|known| *known as u32 == phase);
        (
            phase.unwrap_or(Phase::Runs),
            self.status.load(Ordering::Relaxed),
        )
    }

    /// The signal.
    pub fn crashed(&self) -> Crash {
        Crash {
            signal: self.signal.load(Ordering::Relaxed),
            address: self.address.load(Ordering::Relaxed),
            pc: self.pc.load(Ordering::Relaxed),
        }
    }

    /// How long the cell ran; nothing if it did not come to an end.
    pub fn run_ns(&self) -> Option<u64> {
        Some(self.run_ns.load(Ordering::Relaxed)).filter(|took| *took > 0)
    }
}
