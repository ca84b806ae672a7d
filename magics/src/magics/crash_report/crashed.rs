//! A process that stands in its signal handler, looked at from outside: what happened, where, and at which address.

use std::sync::atomic::Ordering;

use diaphane_sight::code::instructions::Instruction;
use diaphane_sight::crash::black_box::BlackBox;
use diaphane_sight::crash::fault::Fault;
use diaphane_sight::linker::libraries::Library;
use diaphane_sight::proc::target_process::TargetProcess;
use diaphane_sight::unwind::{Manner, Registers};

use super::address::{self, AddressKind, Surroundings};
use super::arrays::{held, held_before, libraries_before};
use super::{signal, stack};
use crate::error::Error;
use crate::stacks::now::ThreadNow;
use crate::stacks::other_process::{OtherProcessStacks, look};

/// So many of the innermost functions of a thread are kept.
const INNERMOST: usize = 800;

/// The cell that a crash belongs to.
pub(super) struct CrashedCell {
    pub slot: usize,
    pub number: u32,
    pub code: String,
}

/// Whether a thread has a name of the kernel's. Which numbers its threads have is not written down for others, so a
/// user's own threads of ZeroMQ are left out too.
fn is_named_as_ours(name: &str) -> bool {
    name.starts_with("diaphane") || name.starts_with("ZMQbg/")
}

/// All that is known.
pub(super) struct KernelCrash {
    pub fault: Fault,
    pub threads: Vec<ThreadNow>,
    pub limits: Vec<String>,
    pub version: Option<String>,
    pub address: Option<AddressKind>,
    pub instruction: Option<Instruction>,
    pub message: Option<String>,
    pub headline: String,
    /// The stack in lines.
    pub stack: Vec<String>,
    /// What is to be said besides.
    pub sentences: Vec<String>,
}

/// Looks at a process.
pub(super) fn read(black_box: &BlackBox) -> Result<KernelCrash, Error> {
    let pid = black_box.pid.load(Ordering::Relaxed);
    let process = TargetProcess::process(pid);
    let no_fault = || Error::Usage("the process says of no fault".into());
    let mut fault = black_box.fault.get().ok_or_else(no_fault)?;
    let mut found = match looked_at(&fault, pid) {
        Ok(found) => found,
        Err(error) => OtherProcessStacks::unknown(error.to_string()),
    };
    // A handler that was there has raised the signal again: the fault itself is in its frame.
    if let Some(first) = first_fault(process, &fault, &found) {
        fault = first;
        found = looked_at(&fault, pid)?;
    }
    Ok(told(black_box, fault, found))
}

fn looked_at(fault: &Fault, pid: i32) -> Result<OtherProcessStacks, Error> {
    let manner = Manner {
        may_stop: false,
        interrupted: Some((fault.tid, Registers::of_fault(fault))),
    };
    let no_python = || Error::Usage("the process runs no Python".into());
    look(pid, manner)?.ok_or_else(no_python)
}

fn first_fault(process: TargetProcess, fault: &Fault, found: &OtherProcessStacks) -> Option<Fault> {
    let was_raised = fault.code == libc::SI_TKILL && fault.signal != libc::SIGABRT;
    let stack = found.ends.get(&fault.tid).filter(|_| was_raised)?;
    stack.iter().find_map(|end| fault.in_frame(process, *end))
}

fn told(black_box: &BlackBox, fault: Fault, found: OtherProcessStacks) -> KernelCrash {
    let process = TargetProcess::process(black_box.pid.load(Ordering::Relaxed));
    let is_memory =
        matches!(fault.signal, libc::SIGSEGV | libc::SIGBUS) && fault.is_by_the_processor();
    let has_address = is_memory && fault.code != signal::NO_ADDRESS;
    let (arrays, before) = (held(black_box, found.reader), held_before(black_box));
    let surroundings = Surroundings {
        maps: &found.maps,
        libraries: &found.libraries,
        arrays: &arrays,
        arrays_before: &before,
        libraries_before: &libraries_before(black_box),
    };
    let address = has_address.then(|| surroundings.explain(&fault));
    let instruction = signal::instruction(process, &fault);
    let said = || {
        let by_c = abort_message(process, &found.libraries);
        by_c.or_else(|| signal::message(&black_box.errors.get()))
    };
    let message = (fault.signal == libc::SIGABRT).then(said).flatten();
    let short = address.as_ref().map(|address| address.short.as_str());
    let headline = signal::headline(&fault, short, instruction.as_ref(), message.as_deref());
    let crashed = found.threads.iter().find(|thread| thread.tid == fault.tid);
    let calls = crashed.map_or(&[][..], |thread| thread.merged.calls.as_slice());
    let mut sentences = address
        .as_ref()
        .map_or_else(Vec::new, |address| address.sentences.clone());
    let overflow = address
        .as_ref()
        .filter(|address| address.kind == address::OVERFLOW);
    let ends = found.ends.get(&fault.tid).map_or(&[][..], Vec::as_slice);
    sentences.extend(overflow.and_then(|_| stack::recursion(calls, ends, &found.maps)));
    sentences.extend(signal::about_instruction(&fault, instruction.as_ref()));
    sentences.extend(stack::who(calls).filter(|_| is_memory));
    sentences.extend(about_others(&fault, &found.threads));
    let lines = stack::lines(black_box, calls);
    let mut limits = found.limits;
    let mut threads = found.threads;
    let shortened = threads.iter_mut().filter_map(shorten).count();
    if shortened > 0 {
        limits.push(format!(
            "of {shortened} threads only the innermost and the outermost functions are kept"
        ));
    }
    KernelCrash {
        stack: lines,
        fault,
        limits,
        version: found.version,
        address,
        instruction,
        message,
        headline,
        sentences,
        threads,
    }
}

/// What the user's other threads do.
fn about_others(fault: &Fault, threads: &[ThreadNow]) -> Option<String> {
    let others = threads
        .iter()
        .filter(|thread| thread.tid != fault.tid && !is_named_as_ours(&thread.name));
    stack::others(others.map(|thread| {
        let calls = thread.merged.calls.as_slice();
        (thread.name.as_str(), thread.state, calls)
    }))
}

/// Leaves out the middle of a stack that is full of one function.
fn shorten(thread: &mut ThreadNow) -> Option<()> {
    const OUTERMOST: usize = 200;
    let calls = &mut thread.merged.calls;
    (calls.len() > INNERMOST + OUTERMOST).then_some(())?;
    calls.drain(INNERMOST..calls.len() - OUTERMOST);
    Some(())
}

/// What the C library keeps of its last message, which it may have written to a terminal.
fn abort_message(process: TargetProcess, libraries: &[Library]) -> Option<String> {
    let mut images = libraries.iter().map(|library| &library.image);
    let place = images.find_map(|image| image.data("__abort_msg"))?;
    // The size comes first.
    let kept = process.word(place.start).filter(|kept| *kept != 0)?;
    let text = process.c_string(kept + size_of::<u32>())?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// The cell of a thread: its own, or else the only one that runs, or else the main thread's.
pub(super) fn cell_of(black_box: &BlackBox, tid: i32) -> Option<CrashedCell> {
    let running: Vec<_> = black_box.running().collect();
    let own = running
        .iter()
        .find(|(_, cell)| cell.tid.load(Ordering::Relaxed) == tid);
    let (slot, cell) = own.or(running.first())?;
    Some(CrashedCell {
        slot: *slot,
        number: cell.number.load(Ordering::Relaxed),
        code: cell.code.get(),
    })
}

/// What happened, where nobody could look at the process from outside.
#[must_use]
pub fn crash_in_short(black_box: &BlackBox) -> String {
    let Some(fault) = black_box.fault.get() else {
        return "the process ends".to_owned();
    };
    let errors = black_box.errors.get();
    let message = (fault.signal == libc::SIGABRT)
        .then(|| signal::message(&errors))
        .flatten();
    signal::headline(&fault, None, None, message.as_deref())
}
