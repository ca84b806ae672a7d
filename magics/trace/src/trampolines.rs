//! The small pieces of code that hooks lead to: each calls the recorder with its function's number and goes on to the
//! function.
//!
//! A trampoline stays for ever, because a thread may stand in it, or an iterator of the user's keep its address. No memory is
//! ever writable and executable at once.

use std::collections::HashMap;
use std::ptr;

use diaphane_forks::ProcessLock;
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect};

use crate::arch::pieces::{RECORDING, recording};
use crate::recorder::{common, common_with_words, functions};

/// What a trampoline is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Wanted {
    /// Where it goes on.
    pub target: usize,
    /// Whether the recorder keeps arguments.
    pub words: bool,
}

static MADE: ProcessLock<Option<HashMap<Wanted, usize>>> = ProcessLock::new(|| None);

/// The trampolines for functions, made where there is none yet; `None` where the system gives no memory for code.
pub fn trampolines(wanted: &[Wanted]) -> Option<Vec<usize>> {
    let mut made = MADE.lock();
    let made = made.get_or_insert_default();
    let mut missing: Vec<Wanted> = wanted
        .iter()
        .filter(|wanted| !made.contains_key(wanted))
        .copied()
        .collect();
    missing.sort_unstable_by_key(|wanted| (wanted.target, wanted.words));
    missing.dedup();
    if !missing.is_empty() {
        let code: Vec<u8> = missing
            .iter()
            .map(|wanted| trampoline(*wanted))
            .collect::<Option<Vec<_>>>()?
            .concat();
        let start = publish(&code)?;
        let places = (start..).step_by(RECORDING);
        made.extend(missing.into_iter().zip(places));
    }
    wanted
        .iter()
        .map(|wanted| made.get(wanted).copied())
        .collect()
}

fn trampoline(wanted: Wanted) -> Option<[u8; RECORDING]> {
    let number = functions::register(wanted.target)?;
    let recorder = if wanted.words {
        common_with_words()
    } else {
        common()
    };
    recording(number, recorder, wanted.target)
}

/// Copies code into pages of its own.
#[allow(unsafe_code, reason = "memory for code comes from the system")]
pub(crate) fn publish(code: &[u8]) -> Option<usize> {
    let rights = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: a new mapping where the system likes it.
    let memory = unsafe { mmap_anonymous(ptr::null_mut(), code.len(), rights, MapFlags::PRIVATE) };
    let memory = memory.ok()?;
    // SAFETY: the mapping is as large as the code, and nobody else knows it yet.
    unsafe { ptr::copy_nonoverlapping(code.as_ptr(), memory.cast(), code.len()) };
    let rights = MprotectFlags::READ | MprotectFlags::EXEC;
    // SAFETY: it is our own mapping.
    unsafe { mprotect(memory, code.len(), rights) }.ok()?;
    Some(memory.addr())
}
