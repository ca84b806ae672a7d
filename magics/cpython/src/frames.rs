//! What a Python frame's code object says: function, file and line, read from memory without the GIL.

use std::collections::HashMap;

use crate::locals::Local;
use crate::reader::{RawFrame, Reader};

/// No name is longer.
const LONGEST_NAME: usize = 4096;
/// No table of lines is longer.
const LONGEST_TABLE: usize = 1 << 20;

/// One Python function that has not returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PythonFrame {
    /// Its qualified name.
    pub function: String,
    /// The file name, as the code object has it.
    pub file: String,
    /// The line that it is at, counted from 1.
    pub line: Option<u32>,
    /// Whether the interpreter's C function was called for it.
    pub entry: bool,
    /// An address in the native frame of that call; 0 where it is not known.
    pub entered_at: usize,
    /// Its variables, if they were asked for.
    pub locals: Option<Vec<Local>>,
}

/// The functions of frames. A code object that is none by now gives nothing.
pub struct Functions {
    reader: Option<Reader>,
    known: HashMap<usize, Option<Code>>,
}

/// What a code object says.
pub(crate) struct Code {
    pub function: String,
    pub file: String,
    pub first_line: u32,
    lines: Vec<u8>,
}

impl Code {
    /// The line of an instruction, which lies so many bytes behind the first one.
    pub fn line(&self, offset: usize) -> Option<u32> {
        line(&self.lines, self.first_line, offset / 2)
    }
}

impl Default for Functions {
    /// Those of this process.
    fn default() -> Self {
        Self::read_by(Reader::own())
    }
}

impl Functions {
    /// Those of the interpreter that is read so.
    pub fn read_by(reader: Option<Reader>) -> Self {
        Self {
            reader,
            known: HashMap::new(),
        }
    }

    /// The functions, where all of them could be read; a part would be wrong.
    pub fn of(&mut self, frames: &[RawFrame]) -> Option<Vec<PythonFrame>> {
        frames.iter().map(|frame| self.one(frame)).collect()
    }

    fn one(&mut self, frame: &RawFrame) -> Option<PythonFrame> {
        let reader = self.reader.as_ref()?;
        let code = self
            .known
            .entry(frame.code)
            .or_insert_with(|| reader.code(frame.code));
        let code = code.as_ref()?;
        let offset = reader
            .instructions(frame)
            .and_then(|start| frame.instruction.checked_sub(start));
        Some(PythonFrame {
            function: code.function.clone(),
            file: code.file.clone(),
            line: offset.and_then(|offset| code.line(offset)),
            entry: frame.entry,
            entered_at: frame.entered_at,
            locals: None,
        })
    }
}

impl Reader {
    /// What a code object says, if it is one.
    pub(crate) fn code(&self, address: usize) -> Option<Code> {
        let (layout, object) = (&self.layout.code, &self.layout.object);
        (self.class(address)? == self.code_type).then_some(())?;
        let table = self.word(address, layout.lines)?;
        let length = self.word(table, object.length)?.min(LONGEST_TABLE);
        let first_line = self.int(address, layout.first_line)?;
        Some(Code {
            function: self.text(self.word(address, layout.name)?)?,
            file: self.text(self.word(address, layout.file)?)?,
            first_line: u32::try_from(first_line).ok()?,
            lines: self.target.bytes(table.checked_add(object.bytes)?, length),
        })
    }

    /// The content of a `str`.
    pub(crate) fn text(&self, address: usize) -> Option<String> {
        let layout = &self.layout.text;
        let is_text = self.class(address)? == self.text_type;
        let length = self
            .word(address, self.layout.object.length)?
            .min(LONGEST_NAME);
        let storage = layout.storage(self.int(address, layout.state)?);
        if !is_text || !storage.compact {
            return None;
        }
        let start = address.checked_add(layout.start(&storage))?;
        letters(
            &self.target.bytes(start, length * storage.size),
            storage.size,
        )
    }
}

/// Text of so many bytes a letter.
fn letters(raw: &[u8], size: usize) -> Option<String> {
    let letter = |number: u32| char::from_u32(number).unwrap_or(char::REPLACEMENT_CHARACTER);
    Some(match size {
        1 => raw.iter().map(|&byte| char::from(byte)).collect(),
        2 => raw
            .as_chunks::<2>()
            .0
            .iter()
            .map(|pair| letter(u16::from_ne_bytes(*pair).into()))
            .collect(),
        4 => raw
            .as_chunks::<4>()
            .0
            .iter()
            .map(|four| letter(u32::from_ne_bytes(*four)))
            .collect(),
        _ => return None,
    })
}

/// The line of an instruction by its number, from a code object's table (`Objects/locations.md` of CPython).
pub(crate) fn line(table: &[u8], first: u32, unit: usize) -> Option<u32> {
    let mut bytes = table.iter().copied().peekable();
    let mut line = i64::from(first);
    let mut end = 0;
    while let Some(head) = bytes.next() {
        let kind = head >> 3 & 15;
        end += usize::from(head & 7) + 1;
        match kind {
            // Without any location; with all of it, of which the line comes first; without columns.
            15 => {}
            13 | 14 => line += varint(&mut bytes)?,
            10..=12 => line += i64::from(kind - 10),
            _ => {}
        }
        if unit < end {
            return (kind != 15).then_some(u32::try_from(line).ok()?);
        }
        // The next entry begins with the next byte that has its highest bit set.
        while bytes.next_if(|byte| byte & 0x80 == 0).is_some() {}
    }
    None
}

/// A signed number: six bits a byte, the lowest first, the sign in the lowest bit of all.
fn varint(bytes: &mut impl Iterator<Item = u8>) -> Option<i64> {
    let mut value = 0_i64;
    for shift in (0..36).step_by(6) {
        let byte = bytes.next()?;
        value |= i64::from(byte & 0x3f) << shift;
        if byte & 0x40 == 0 {
            break;
        }
    }
    Some(if value & 1 == 1 {
        -(value >> 1)
    } else {
        value >> 1
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_in_a_table() {
        // As CPython documents it: a short entry of 2 units, one on the next line of 1 unit, one without a location of
        // 1 unit, one that goes back by 3 lines without columns.
        let table = [
            0x80 | 1,
            0x05,
            0x80 | 11 << 3,
            4,
            9,
            0x80 | 15 << 3,
            0x80 | 13 << 3,
            7,
        ];
        let lines: Vec<_> = (0..6).map(|unit| line(&table, 10, unit)).collect();
        assert_eq!(lines, [Some(10), Some(10), Some(11), None, Some(8), None]);
        assert_eq!(line(&[], 1, 0), None);
        assert_eq!(line(&[0x80 | 14 << 3], 1, 0), None);
    }
}
