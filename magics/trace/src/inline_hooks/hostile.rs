//! For tests: code that somebody wrote to do harm is read as the beginnings of functions are. Nothing of it runs.

use diaphane_sight::proc::spans::Span;

use super::branches::Branches;
use super::functions::{FoundFunctions, Function};
use super::prologue::prologue;
use super::text::{Segment, Text};

/// How far one function is from the next.
const LENGTH: usize = 24;

/// How many of the functions in the code could be hooked, one every 24 bytes.
#[must_use]
pub fn beginnings(code: &[u8]) -> usize {
    let start = code.as_ptr().addr();
    let segment = Segment {
        span: Span::new(start, start + code.len()),
        bytes: code.to_vec(),
    };
    let text = Text {
        segments: vec![segment],
        changed: Vec::new(),
    };
    let function = |(index, bytes): (usize, &[u8])| {
        let start = start + index * LENGTH;
        Function {
            span: Span::new(start, start + bytes.len()),
            named: true,
        }
    };
    let found = FoundFunctions {
        functions: code.chunks(LENGTH).enumerate().map(function).collect(),
        parts: Vec::new(),
    };
    let branches = Branches::of(&found, &text);
    let moves = |function: &&Function| {
        let prologue = prologue(function, function.span.end, &text, &branches);
        // Where the trampoline would lie.
        let near = function.span.start.wrapping_add(1 << 20);
        prologue.is_ok_and(|prologue| prologue.encode(near, &mut Vec::new(), &text).is_some())
    };
    found.functions.iter().filter(moves).count()
}
