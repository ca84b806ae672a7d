//! Where Python is on this very thread, written down in a signal handler: the innermost function, and the line of the
//! cell.
//!
//! The handler runs below the interpreter, whose frames stand still meanwhile, so they are read as they are. It makes
//! no system call, since it may stand in one.

#![allow(
    unsafe_code,
    reason = "CPython's own structures, on the thread that they belong to"
)]

use std::sync::atomic::{AtomicUsize, Ordering};

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::frames::line;
use crate::own_layout::layout_that_holds;
use crate::versions::{Entry, Layout, untagged};

/// No more frames are looked at for the cell's.
const MOST: usize = 400;
/// The longest name that is written.
const LONGEST: usize = 400;

/// The file name of the cell.
static CELL: AtomicUsize = AtomicUsize::new(0);

/// A Python function at a line.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Spot {
    /// The file name, as the code object has it.
    pub file: String,
    /// The function's qualified name.
    pub function: String,
    /// Counted from 1.
    pub line: Option<u32>,
}

/// What was written: the innermost function, and the line of the cell if that is one of its callers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Here {
    /// The innermost function.
    pub inner: Spot,
    /// The line of the cell's innermost function.
    pub cell_line: Option<u32>,
}

/// The argument for [`note`] on this thread, for a cell whose code has this file name, which must stay alive. `None`
/// where the interpreter's structures are not known.
pub fn begin(file: &Bound<'_, PyString>) -> Option<usize> {
    layout_that_holds()?;
    CELL.store(file.as_ptr().addr(), Ordering::Relaxed);
    // SAFETY: the GIL is held, as `file` proves.
    Some(unsafe { ffi::PyThreadState_Get() }.addr())
}

/// Writes where the thread is whose state is given, unless it is the place that `seen` remembers.
pub fn note(state: usize, seen: &mut [usize; 2], room: &mut [u8]) -> usize {
    let Some(layout) = layout_that_holds() else {
        return 0;
    };
    let top = word(state + layout.thread.top);
    let mut at = layout.thread.through.map_or(
        top,
        |through| {
            if top == 0 { 0 } else { word(top + through) }
        },
    );
    at = of_python(layout, at);
    let now = [
        at,
        if at == 0 {
            0
        } else {
            word(at + layout.frame.instruction)
        },
    ];
    if *seen == now {
        return 0;
    }
    *seen = now;
    if at == 0 {
        return 0;
    }
    let mut writer = Writer { room, used: 0 };
    let code = code_of(layout, at);
    writer.number(line_of(layout, at, code));
    writer.number(cell_line(layout, at));
    writer.text(layout, word(code + layout.code.file));
    writer.text(layout, word(code + layout.code.name));
    writer.used
}

/// What was written.
pub fn read(bytes: &[u8]) -> Option<Here> {
    let number = |from: usize| {
        let bytes = bytes.get(from..from + 4)?.try_into().ok()?;
        Some(u32::from_ne_bytes(bytes)).filter(|&number| number != 0)
    };
    let mut at = 8;
    let mut text = || {
        let length = usize::from(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
        let text = bytes.get(at + 2..at + 2 + length)?;
        at += 2 + length;
        Some(String::from_utf8_lossy(text).into_owned())
    };
    let (file, function) = (text()?, text()?);
    Some(Here {
        inner: Spot {
            file,
            function,
            line: number(0),
        },
        cell_line: number(4),
    })
}

/// The line of the innermost function of the cell.
fn cell_line(layout: &Layout, top: usize) -> Option<u32> {
    let cell = CELL.load(Ordering::Relaxed);
    let mut at = top;
    for _ in 0..MOST {
        if at == 0 {
            return None;
        }
        let code = code_of(layout, at);
        if is_same(layout, word(code + layout.code.file), cell) {
            return line_of(layout, at, code);
        }
        at = of_python(layout, word(at + layout.frame.previous));
    }
    None
}

/// The frame itself, or the first one behind it that is a Python function's.
fn of_python(layout: &Layout, mut at: usize) -> usize {
    let code_type = (&raw const ffi::PyCode_Type).addr();
    // What lies between functions is one frame at a time that is none's.
    for _ in 0..4 {
        if at == 0 {
            return 0;
        }
        let code = code_of(layout, at);
        let is_c = match layout.frame.entry {
            Entry::Owner(owner) => byte(at + owner.at) >= owner.first_of_c,
            Entry::Flag(_) => false,
        };
        if !is_c && code != 0 && word(code + layout.object.class) == code_type {
            return at;
        }
        at = word(at + layout.frame.previous);
    }
    0
}

fn code_of(layout: &Layout, frame: usize) -> usize {
    untagged(word(frame + layout.frame.code))
}

fn line_of(layout: &Layout, frame: usize, code: usize) -> Option<u32> {
    let instructions = instructions(layout, frame, code);
    let unit = word(frame + layout.frame.instruction).checked_sub(instructions)? / 2;
    let table = word(code + layout.code.lines);
    let length = word(table + layout.object.length);
    let start = table + layout.object.bytes;
    // SAFETY: the code object of a frame has a table of bytes, which lives as long.
    let table = unsafe { std::slice::from_raw_parts(start as *const u8, length) };
    let first = u32::try_from(int(code + layout.code.first_line)).ok()?;
    line(table, first, unit)
}

/// Where the instructions begin that a frame runs, which may be a thread's own copy.
fn instructions(layout: &Layout, frame: usize, code: usize) -> usize {
    let copy = layout.frame.copy.map_or(0, |copy| int(frame + copy));
    match (layout.code.copies, usize::try_from(copy)) {
        (Some(copies), Ok(copy)) if copy > 0 => {
            word(word(code + copies) + (1 + copy) * size_of::<usize>())
        }
        _ => code + layout.code.instructions,
    }
}

/// Whether two strings are one, or have the same plain letters.
fn is_same(layout: &Layout, one: usize, other: usize) -> bool {
    if one == other || other == 0 {
        return one == other;
    }
    let plain = |text: usize| {
        let storage = layout.text.storage(int(text + layout.text.state));
        (word(text + layout.object.length), storage.ascii)
    };
    let (length, ascii) = plain(one);
    if plain(other) != (length, ascii) || !ascii {
        return false;
    }
    let start = layout.text.ascii;
    (0..length).all(|index| byte(one + start + index) == byte(other + start + index))
}

fn word(address: usize) -> usize {
    // SAFETY: callers follow pointers of objects that the interpreter uses itself.
    unsafe { *(address as *const usize) }
}

fn int(address: usize) -> i32 {
    // SAFETY: as in `word`.
    unsafe { *(address as *const i32) }
}

fn byte(address: usize) -> u8 {
    // SAFETY: as in `word`.
    unsafe { *(address as *const u8) }
}

/// Appends without allocating.
struct Writer<'a> {
    room: &'a mut [u8],
    used: usize,
}

impl Writer<'_> {
    fn bytes(&mut self, bytes: &[u8]) {
        if let Some(place) = self.room.get_mut(self.used..self.used + bytes.len()) {
            place.copy_from_slice(bytes);
            self.used += bytes.len();
        }
    }

    fn number(&mut self, number: Option<u32>) {
        self.bytes(&number.unwrap_or(0).to_ne_bytes());
    }

    /// A string, which CPython keeps as one, two or four bytes a letter.
    fn text(&mut self, layout: &Layout, text: usize) {
        let storage = layout.text.storage(int(text + layout.text.state));
        let start = text + layout.text.start(&storage);
        let head = self.used;
        self.bytes(&[0, 0]);
        let length = word(text + layout.object.length);
        for index in 0..length {
            let letter = match storage.size {
                1 => u32::from(byte(start + index)),
                2 => int(start + 2 * index) as u32 & 0xffff,
                _ => int(start + 4 * index) as u32,
            };
            let letter = char::from_u32(letter).unwrap_or(char::REPLACEMENT_CHARACTER);
            let mut bytes = [0; 4];
            let bytes = letter.encode_utf8(&mut bytes).as_bytes();
            if self.used - head - 2 + bytes.len() > LONGEST {
                break;
            }
            self.bytes(bytes);
        }
        let written = (self.used - head).saturating_sub(2) as u16;
        if let Some(place) = self.room.get_mut(head..head + 2) {
            place.copy_from_slice(&written.to_ne_bytes());
        }
    }
}
