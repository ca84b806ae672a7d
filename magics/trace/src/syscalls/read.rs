//! What was recorded, as values.

#[cfg(target_arch = "x86_64")]
use std::sync::atomic::Ordering;

#[cfg(target_arch = "x86_64")]
use super::state::{Bytes, Head, Record, piece};
#[cfg(target_arch = "x86_64")]
use crate::clock::Scale;

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
pub struct Recording {
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
    /// Whether this is a child that was forked meanwhile.
    pub forked: bool,
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

/// Reads the log of a thread.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "a log is memory that a handler wrote")]
pub(super) fn read(tid: i32, log: &[u8], began: u64, scale: Scale, recording: &mut Recording) {
    use std::collections::HashMap;
    let mut at = 0;
    let mut calls: HashMap<usize, usize> = HashMap::new();
    let mut places: HashMap<usize, usize> = HashMap::new();
    while at + size_of::<Bytes>() <= log.len() {
        let piece = log[at..].as_ptr();
        // SAFETY: the log is aligned like its first piece, and each piece has a head.
        let head = unsafe { &*piece.cast::<Head>() };
        let size = head.size as usize;
        if size == 0 || at + size > log.len() || !size.is_multiple_of(8) {
            break;
        }
        match head.kind.load(Ordering::Acquire) {
            piece::CALL => {
                // SAFETY: a piece of this kind is a record, which is complete but for its result.
                let record = unsafe { &*piece.cast::<Record>() };
                let place = record.place.checked_sub(1);
                let place = place.and_then(|place| places.get(&place).copied());
                calls.insert(at, recording.calls.len());
                let stack = at + size_of::<Record>();
                let stack = log[stack..stack + record.copied].to_vec();
                let call = record.value(tid, began, scale, place, stack);
                recording.calls.push(call);
            }
            kind @ (piece::TEXT | piece::PATH | piece::PLACE) => {
                // SAFETY: pieces of these kinds begin so.
                let bytes = unsafe { &*piece.cast::<Bytes>() };
                let first = at + size_of::<Bytes>();
                let mut text = log[first..first + bytes.length as usize].to_vec();
                if kind == piece::PATH && text.last() == Some(&0) {
                    text.pop();
                }
                match calls.get(&bytes.of) {
                    _ if kind == piece::PLACE => {
                        places.insert(at, recording.places.len());
                        recording.places.push(text);
                    }
                    Some(&call) => recording.calls[call]
                        .texts
                        .push((bytes.argument as usize, text)),
                    None => {}
                }
            }
            // It was being written when the recording ended.
            _ => {}
        }
        at += size;
    }
}

#[cfg(target_arch = "x86_64")]
impl Record {
    fn value(
        &self,
        tid: i32,
        began: u64,
        scale: Scale,
        place: Option<usize>,
        copy: Vec<u8>,
    ) -> Call {
        let ended = self.ended.load(Ordering::Acquire);
        let took = match ended {
            // Not yet, or through a trampoline, which keeps no time.
            0 | u64::MAX => None,
            ended => Some(scale.nanoseconds(ended.saturating_sub(self.began))),
        };
        let [code, stack, kept @ ..] = self.registers;
        Call {
            tid,
            number: self.number,
            arguments: self.arguments,
            began_ns: scale.nanoseconds(self.began.saturating_sub(began)),
            took_ns: took,
            result: (ended != 0).then(|| self.result.load(Ordering::Relaxed)),
            registers: Registers {
                code,
                stack,
                kept,
                copy,
            },
            texts: Vec::new(),
            place,
        }
    }
}
