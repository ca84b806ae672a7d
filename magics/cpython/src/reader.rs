//! Reads the interpreter's frames and its GIL out of memory: of this process, or of another one.
//!
//! It allocates nothing where it notes frames, since that happens in signal handlers too. What it reads may be anything:
//! another process's memory, or this one's while it changes.

use diaphane_sight::proc::target_process::TargetProcess;
use pyo3::ffi;

use crate::own_layout;
use crate::versions::{Entry, GilPlace, Layout, untagged};

/// No frame has more in front of its variables.
const LARGEST_FRAME: usize = 128;

/// How an interpreter is read.
#[derive(Debug, Clone, Copy)]
pub struct Reader {
    /// Whose memory it is in.
    pub(crate) target: TargetProcess,
    /// Where its structures keep what.
    pub(crate) layout: Layout,
    /// By its type a code object is known to be one.
    pub(crate) code_type: usize,
    /// By its type a string is known to be one.
    pub(crate) text_type: usize,
}

/// A frame as four words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawFrame {
    /// Where it is.
    pub frame: usize,
    /// Its code object.
    pub code: usize,
    /// Its instruction.
    pub(crate) instruction: usize,
    /// Which copy of the instructions that is one of; in builds with the GIL there is one.
    pub(crate) copy: usize,
    /// Whether the interpreter was entered for it.
    pub(crate) entry: bool,
    /// Where the frame of none's is that the interpreter's C function made when it was entered for it, among its own
    /// variables; 0 where there is none.
    pub(crate) entered_at: usize,
}

/// How many words a frame takes.
pub const WORDS: usize = 4;

impl RawFrame {
    /// The last word holds three things: addresses have 48 bits, and frames begin at even ones.
    fn pack(self) -> [usize; WORDS] {
        let last = self.copy << ADDRESS_BITS | entered(self.entered_at) | usize::from(self.entry);
        [self.frame, self.code, self.instruction, last]
    }

    fn unpack(&[frame, code, instruction, last]: &[usize; WORDS]) -> Self {
        Self {
            frame,
            code,
            instruction,
            copy: last >> ADDRESS_BITS,
            entry: last & 1 == 1,
            entered_at: entered(last),
        }
    }
}

const ADDRESS_BITS: u32 = 48;

fn entered(word: usize) -> usize {
    word & ((1 << ADDRESS_BITS) - 1) & !1
}

/// The frames behind words.
pub fn unpack(words: &[usize]) -> Vec<RawFrame> {
    let (frames, _) = words.as_chunks::<WORDS>();
    frames.iter().map(RawFrame::unpack).collect()
}

impl Reader {
    /// For the interpreter of this process, if its layout is known; whether it holds is another question.
    pub(crate) fn own() -> Option<Self> {
        Some(Self {
            target: TargetProcess::OWN,
            layout: *own_layout::layout()?,
            code_type: (&raw const ffi::PyCode_Type).addr(),
            text_type: (&raw const ffi::PyUnicode_Type).addr(),
        })
    }

    /// The pointer that lies so far behind an address.
    pub(crate) fn word(&self, base: usize, offset: usize) -> Option<usize> {
        self.target.word(base.checked_add(offset)?)
    }

    /// The C `int` that lies so far behind an address.
    pub(crate) fn int(&self, base: usize, offset: usize) -> Option<i32> {
        self.target.int(base.checked_add(offset)?)
    }

    /// The type of an object.
    pub(crate) fn class(&self, object: usize) -> Option<usize> {
        self.word(object, self.layout.object.class)
    }

    /// Where the GIL of an interpreter is.
    pub(crate) fn gil(&self, runtime: usize, interpreter: usize) -> Option<usize> {
        match self.layout.gil.place {
            GilPlace::Runtime(offset) => runtime.checked_add(offset),
            GilPlace::Interpreter(offset) => self.word(interpreter, offset),
        }
    }

    /// Whether a GIL that a build can do without is used.
    pub(crate) fn is_used(&self, gil: usize) -> bool {
        let enabled = self.layout.gil.enabled;
        enabled.is_none_or(|offset| self.int(gil, offset).is_none_or(|enabled| enabled != 0))
    }

    /// The state of the thread that holds a GIL. It is kept when the lock is let go.
    pub(crate) fn holder(&self, gil: usize) -> Option<usize> {
        let is_locked = self.int(gil, self.layout.gil.locked) == Some(1);
        let holder = || self.word(gil, self.layout.gil.holder);
        (is_locked && self.is_used(gil)).then(holder).flatten()
    }

    /// Notes the frames of the thread whose state is given, up to the one at `end`; returns how many words it wrote.
    pub(crate) fn note(&self, state: usize, words: &mut [usize], end: usize) -> usize {
        if state == 0 {
            return 0;
        }
        let thread = &self.layout.thread;
        let top = self.word(state, thread.top);
        let mut at = match thread.through {
            Some(offset) => top.and_then(|through| self.word(through, offset)),
            None => top,
        };
        let (frames, _) = words.as_chunks_mut::<WORDS>();
        let mut count = 0;
        // The frames between functions are none of Python's, so there are more steps than frames.
        for _ in 0..2 * frames.len() {
            let Some(read) = at
                .filter(|&at| at != 0 && at != end && count < frames.len())
                .and_then(|at| self.frame(at))
            else {
                break;
            };
            match read.frame {
                // The interpreter was entered for the function in front of it.
                None if count > 0 => {
                    let last = &mut frames[count - 1][WORDS - 1];
                    // Behind the outermost one is the first frame of the thread, which is none's too.
                    if entered(*last) == 0 {
                        *last |= entered(read.at) | 1;
                    }
                }
                None => {}
                Some(frame) => {
                    frames[count] = frame.pack();
                    count += 1;
                }
            }
            at = Some(read.previous);
        }
        count * WORDS
    }

    fn frame(&self, at: usize) -> Option<Read> {
        let layout = &self.layout.frame;
        let mut bytes = [0; LARGEST_FRAME];
        let bytes = bytes.get_mut(..layout.locals)?;
        (self.target.read(at, bytes).ok()? == layout.locals).then_some(())?;
        let word = |offset: usize| {
            let word = bytes.get(offset..)?.first_chunk()?;
            Some(usize::from_ne_bytes(*word))
        };
        let (entry, is_c) = match layout.entry {
            Entry::Flag(offset) => (*bytes.get(offset)? != 0, false),
            Entry::Owner(owner) => (false, *bytes.get(owner.at)? >= owner.first_of_c),
        };
        let copy = match layout.copy {
            Some(offset) => i32::from_ne_bytes(*bytes.get(offset..)?.first_chunk()?),
            None => 0,
        };
        let frame = RawFrame {
            frame: at,
            code: untagged(word(layout.code)?),
            instruction: word(layout.instruction)?,
            copy: usize::try_from(copy).unwrap_or(0),
            entry,
            entered_at: 0,
        };
        Some(Read {
            at,
            previous: word(layout.previous)?,
            frame: (!is_c).then_some(frame),
        })
    }

    /// Where the instructions begin that a frame runs.
    pub(crate) fn instructions(&self, frame: &RawFrame) -> Option<usize> {
        let layout = &self.layout.code;
        match layout.copies.filter(|_| frame.copy > 0) {
            None => frame.code.checked_add(layout.instructions),
            Some(offset) => {
                // `_PyCodeArray`: how many there are, and then pointers to them.
                let copies = self.word(frame.code, offset)?;
                let is_one = frame.copy < self.word(copies, 0)?;
                let offset = frame.copy.checked_add(1)?.checked_mul(size_of::<usize>())?;
                is_one.then(|| self.word(copies, offset)).flatten()
            }
        }
    }
}

/// One frame: a function's, or none's.
struct Read {
    at: usize,
    previous: usize,
    frame: Option<RawFrame>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_survive_their_words() {
        let frame = RawFrame {
            frame: 16,
            code: 32,
            instruction: 48,
            copy: 7,
            entry: true,
            entered_at: 0x7fff_ffff_fff0,
        };
        let other = RawFrame {
            copy: 0,
            entry: false,
            entered_at: 0,
            ..frame
        };
        let words = [frame.pack(), other.pack()].concat();
        assert_eq!(unpack(&words), [frame, other]);
    }
}
