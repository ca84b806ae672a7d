//! The logs of the threads as values.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use super::state::{Bytes, Head, Record, piece};
use crate::clock::Scale;
use crate::syscalls::{Call, Registers, SyscallRecording};

/// Reads the log of a thread.
#[allow(unsafe_code, reason = "a log is memory that a handler wrote")]
pub(super) fn read(
    tid: i32,
    log: &[u8],
    began: u64,
    scale: Scale,
    recording: &mut SyscallRecording,
) {
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
