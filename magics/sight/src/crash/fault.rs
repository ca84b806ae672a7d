//! What a signal handler is told of a fault, as it stands in the black box.

use std::sync::atomic::{AtomicI32, AtomicU64, AtomicUsize, Ordering};

use serde::Serialize;

use crate::arch::registers;
use crate::proc::target_process::TargetProcess;

/// As many general registers as any processor here has.
const REGISTERS: usize = 31;

/// A fault in shared memory.
#[derive(Default)]
#[repr(C)]
pub struct SharedFault {
    tid: AtomicI32,
    signal: AtomicI32,
    code: AtomicI32,
    sender: AtomicI32,
    address: AtomicUsize,
    access: AtomicU64,
    stack: AtomicUsize,
    instruction: AtomicUsize,
    general: [AtomicUsize; REGISTERS],
}

/// What was done with the address of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// It was read.
    Read,
    /// It was written.
    Write,
    /// It was to be run.
    Execute,
}

/// A fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The thread.
    pub tid: i32,
    /// The signal.
    pub signal: i32,
    /// What the signal says of its cause.
    pub code: i32,
    /// Who sent it, where somebody did.
    pub sender: i32,
    /// The address, of a fault of memory.
    pub address: usize,
    /// What was done there, where the processor says so.
    pub access: Option<Access>,
    /// The stack pointer.
    pub stack: usize,
    /// The instruction.
    pub instruction: usize,
    /// The general registers, by DWARF's numbers.
    pub general: Vec<usize>,
}

impl Access {
    fn of(number: u64) -> Option<Self> {
        match number {
            registers::READS => Some(Self::Read),
            registers::WRITES => Some(Self::Write),
            registers::RUNS => Some(Self::Execute),
            _ => None,
        }
    }
}

impl Fault {
    /// Whether the processor found it, as opposed to a process that sent the signal.
    #[must_use]
    pub fn is_by_the_processor(&self) -> bool {
        self.code > 0
    }

    /// The fault of the same thread whose handler's frame ends at an address, if it does.
    #[must_use]
    pub fn in_frame(&self, process: TargetProcess, end: usize) -> Option<Self> {
        let word = |address| process.word(address);
        let found = registers::of_signal_frame(word, end)?;
        let (stack, instruction, general) = found.general;
        Some(Self {
            tid: self.tid,
            signal: self.signal,
            code: found.code,
            sender: 0,
            address: found.address,
            access: Access::of(found.access),
            stack,
            instruction,
            general: general.to_vec(),
        })
    }
}

impl SharedFault {
    /// Notes what the handler was given. It is safe in a signal handler.
    pub fn note(&self, tid: i32, info: &libc::siginfo_t, context: &libc::ucontext_t) {
        self.signal.store(info.si_signo, Ordering::Relaxed);
        self.code.store(info.si_code, Ordering::Relaxed);
        let (sender, address) = super::handler::sender_or_address(info);
        self.sender.store(sender, Ordering::Relaxed);
        self.address.store(address, Ordering::Relaxed);
        let access = registers::access(context);
        self.access.store(access, Ordering::Relaxed);
        let (stack, instruction, general) = registers::interrupted(context);
        self.stack.store(stack, Ordering::Relaxed);
        self.instruction.store(instruction, Ordering::Relaxed);
        for (place, value) in self.general.iter().zip(general) {
            place.store(value, Ordering::Relaxed);
        }
        self.tid.store(tid, Ordering::Release);
    }

    /// The fault, if there was one.
    #[must_use]
    pub fn get(&self) -> Option<Fault> {
        let tid = self.tid.load(Ordering::Acquire);
        if tid == 0 {
            return None;
        }
        let general = self.general.iter().map(|one| one.load(Ordering::Relaxed));
        Some(Fault {
            tid,
            signal: self.signal.load(Ordering::Relaxed),
            code: self.code.load(Ordering::Relaxed),
            sender: self.sender.load(Ordering::Relaxed),
            address: self.address.load(Ordering::Relaxed),
            access: Access::of(self.access.load(Ordering::Relaxed)),
            stack: self.stack.load(Ordering::Relaxed),
            instruction: self.instruction.load(Ordering::Relaxed),
            general: general.take(registers::GENERAL).collect(),
        })
    }
}
