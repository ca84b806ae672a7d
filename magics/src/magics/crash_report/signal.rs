//! What a signal says: its words, its cause, and the instruction that it came to.

use diaphane_sight::code::instructions::{Instruction, decode_bytes, needed_features};
use diaphane_sight::crash::fault::{Access, Fault};
use diaphane_sight::proc::cpus;
use diaphane_sight::proc::target_process::TargetProcess;

/// No instruction is longer.
const LONGEST: usize = 15;
/// Codes of signals that the `libc` crate does not name.
/// An address that is none, which the processor does not tell.
pub(super) const NO_ADDRESS: i32 = 128;
const INT_DIVISION: i32 = 1;

/// A signal by its number.
pub(super) fn name(signal: i32) -> &'static str {
    match signal {
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGBUS => "SIGBUS",
        libc::SIGILL => "SIGILL",
        libc::SIGFPE => "SIGFPE",
        libc::SIGABRT => "SIGABRT",
        _ => "signal",
    }
}

/// What happened, in a few words; `place` is what stands at the address of a memory fault.
pub(super) fn headline(
    fault: &Fault,
    place: Option<&str>,
    instruction: Option<&Instruction>,
    message: Option<&str>,
) -> String {
    let text = instruction
        .map(|one| format!(" `{}`", one.text))
        .unwrap_or_default();
    let by_hand = || match fault.sender {
        0 => String::new(),
        sender => format!(", sent by process {sender}"),
    };
    match fault.signal {
        libc::SIGSEGV | libc::SIGBUS if fault.code == NO_ADDRESS => {
            format!(
                "{}: an address of a form that no memory has",
                word(fault.signal)
            )
        }
        libc::SIGSEGV | libc::SIGBUS if fault.is_by_the_processor() => {
            let did = match fault.access {
                Some(Access::Read) => "reading address",
                Some(Access::Write) => "writing address",
                Some(Access::Execute) => "jumping to address",
                None => "at address",
            };
            let place = place.unwrap_or("unknown");
            format!(
                "{} {did} {:#x} ({place})",
                word(fault.signal),
                fault.address
            )
        }
        libc::SIGILL if fault.is_by_the_processor() => format!("illegal instruction{text}"),
        libc::SIGFPE if fault.code == INT_DIVISION => format!("integer division by zero{text}"),
        libc::SIGFPE if fault.is_by_the_processor() => format!("arithmetic error{text}"),
        libc::SIGABRT => match message {
            Some(message) => format!("aborted: {message}"),
            None => "aborted".to_owned(),
        },
        signal => format!("{}{}", word(signal), by_hand()),
    }
}

fn word(signal: i32) -> &'static str {
    match signal {
        libc::SIGSEGV => "segmentation fault",
        libc::SIGBUS => "bus error",
        libc::SIGILL => "illegal instruction",
        libc::SIGFPE => "arithmetic error",
        _ => "aborted",
    }
}

/// The instruction of a fault; nothing where the processor's code is not known.
pub(super) fn instruction(process: TargetProcess, fault: &Fault) -> Option<Instruction> {
    let code = process.bytes(fault.instruction, LONGEST);
    decode_bytes(fault.instruction, &code).filter(|_| fault.is_by_the_processor())
}

/// What is to be said of an illegal instruction: which feature of the processor it needs, and whether that is there.
pub(super) fn about_instruction(fault: &Fault, instruction: Option<&Instruction>) -> Vec<String> {
    if fault.signal != libc::SIGILL || !fault.is_by_the_processor() {
        return Vec::new();
    }
    let Some(instruction) = instruction else {
        return vec!["The bytes there are no instruction that is known.".to_owned()];
    };
    let text = &instruction.text;
    if text.starts_with("ud") {
        return vec![format!(
            "`{text}` is there to stop a program: a compiler puts it where code must never come."
        )];
    }
    let needed = needed_features(&instruction.bytes);
    let features: Vec<&str> = needed.iter().map(String::as_str).collect();
    let there = cpus::features();
    let is_missing = |name: &&str| !there.is_empty() && !there.iter().any(|one| one == name);
    let missing: Vec<&str> = features.iter().copied().filter(is_missing).collect();
    match (features.as_slice(), missing.as_slice()) {
        ([], _) => Vec::new(),
        (_, []) => vec![format!(
            "`{text}` needs {}, which this processor has; the system may not allow it.",
            features.join(", ")
        )],
        (_, missing) => vec![format!(
            "`{text}` needs {}, which this processor lacks: the library was built for another one.",
            missing.join(", ")
        )],
    }
}

/// Lines that say why a process gave up, as the C library, C++, Rust and CPython write them, with what they are cut to.
const LAST_WORDS: &[(&str, bool)] = &[
    ("Fatal Python error: ", false),
    ("  what():  ", true),
    ("terminate called ", false),
    ("fatal runtime error: ", false),
    ("double free or corruption", false),
    ("free(): ", false),
    ("malloc(): ", false),
    ("malloc_consolidate(): ", false),
    ("realloc(): ", false),
    ("munmap_chunk(): ", false),
    ("corrupted ", false),
    ("*** ", false),
];

/// The message of an abort, among the lines of the standard error.
pub(super) fn message(errors: &str) -> Option<String> {
    let lines: Vec<&str> = errors.lines().collect();
    // Rust writes what it says on the line behind the place, and a backtrace behind that.
    let panic = lines
        .iter()
        .position(|line| line.starts_with("thread '") && line.contains("panicked at"));
    if let Some(panic) = panic {
        let said = lines[panic..].iter().take(2).copied();
        return Some(said.collect::<Vec<&str>>().join(" "));
    }
    let found = LAST_WORDS.iter().find_map(|(begin, is_cut)| {
        let line = lines
            .iter()
            .rev()
            .find(|line| line.starts_with(begin) || line.contains(": Assertion `"))?;
        let text = if *is_cut {
            line.strip_prefix(begin).unwrap_or(line)
        } else {
            line
        };
        Some(text.to_owned())
    });
    found.map(|text| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_words_are_found() {
        let cases = [
            (
                "noise\ndouble free or corruption (!prev)\n",
                "double free or corruption (!prev)",
            ),
            (
                "terminate called after throwing an instance of 'std::runtime_error'\n  what():  boom\n",
                "boom",
            ),
            (
                "Fatal Python error: f: dead\nPython runtime state: initialized\n\nCurrent thread\n",
                "Fatal Python error: f: dead",
            ),
            (
                "thread 'main' panicked at src/a.rs:1:2:\nit broke\nnote: run with\n",
                "thread 'main' panicked at src/a.rs:1:2: it broke",
            ),
            (
                "x: a.c:3: f: Assertion `n > 0' failed.\n",
                "x: a.c:3: f: Assertion `n > 0' failed.",
            ),
        ];
        for (errors, said) in cases {
            assert_eq!(message(errors).as_deref(), Some(said));
        }
        assert_eq!(message("hello\n"), None);
    }
}
