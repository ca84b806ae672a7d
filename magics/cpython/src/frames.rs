//! What a Python frame's code object says: function, file and line, read from memory without the GIL.

use std::collections::HashMap;

use super::locals::Local;
use super::reader::{RawFrame, Reader};

/// No name is longer.
const LONGEST_NAME: usize = 4096;
/// No table of lines is longer.
const LONGEST_TABLE: usize = 1 << 20;
/// Where every object has its type, and a variable one its length.
const TYPE: usize = 8;
pub const LENGTH: usize = 16;
/// Where a string has the bits that say how it is stored, and bytes have their content.
pub const STATE: usize = 32;
pub const CONTENT: usize = 32;

/// One Python function that has not returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PythonFrame {
    pub function: String,
    pub file: String,
    pub line: Option<u32>,
    /// Whether the interpreter's C function was called for it.
    pub entry: bool,
    /// Its variables, if they were asked for.
    pub locals: Option<Vec<Local>>,
}

/// The functions of frames. A code object that is none by now gives nothing.
pub struct Functions {
    reader: Option<Reader>,
    known: HashMap<usize, Option<Code>>,
}

#[derive(Clone)]
struct Code {
    function: String,
    file: String,
    first_line: u32,
    lines: Vec<u8>,
    instructions: usize,
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
        let unit = frame
            .instruction
            .checked_sub(code.instructions)
            .map(|offset| offset / 2);
        Some(PythonFrame {
            function: code.function.clone(),
            file: code.file.clone(),
            line: unit.and_then(|unit| line(&code.lines, code.first_line, unit)),
            entry: frame.entry,
            locals: None,
        })
    }
}

impl Reader {
    fn code(&self, address: usize) -> Option<Code> {
        let (subject, layout) = (self.subject, &self.layout.code);
        let word = |address: usize| subject.word(address);
        let is_code = word(address.checked_add(TYPE)?)? == self.code_type;
        let table = word(address + layout.lines)?;
        let length = word(table.checked_add(LENGTH)?)?.min(LONGEST_TABLE);
        is_code.then_some(())?;
        Some(Code {
            function: self.text(word(address + layout.name)?)?,
            file: self.text(word(address + layout.file)?)?,
            first_line: u32::try_from(subject.int(address + layout.first_line)?).ok()?,
            lines: subject.bytes(table + CONTENT, length),
            instructions: address + layout.instructions,
        })
    }

    /// The content of a `str`.
    pub fn text(&self, address: usize) -> Option<String> {
        let (subject, layout) = (self.subject, &self.layout.text);
        let is_text = subject.word(address.checked_add(TYPE)?)? == self.text_type;
        let length = subject.word(address + LENGTH)?.min(LONGEST_NAME);
        let state = subject.int(address + STATE)?;
        // Two bits for interning, three for the size of a character, one each for compact and for ASCII.
        let (size, compact, ascii) = (state >> 2 & 7, state >> 5 & 1, state >> 6 & 1);
        if !is_text || compact == 0 {
            return None;
        }
        let start = address
            + match ascii {
                1 => layout.ascii,
                _ => layout.other,
            };
        let raw = subject.bytes(start, length * usize::try_from(size).ok()?);
        letters(&raw, size)
    }
}

/// Text of so many bytes a letter.
fn letters(raw: &[u8], size: i32) -> Option<String> {
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
pub fn line(table: &[u8], first: u32, unit: usize) -> Option<u32> {
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
