//! Reads the interpreter's threads and frames out of memory: of this process, or of another one.
//!
//! It allocates nothing where it notes frames, since that happens in signal handlers too.

use std::collections::HashMap;

use diaphane_sight::proc::target_process::TargetProcess;
use pyo3::ffi;

use super::interpreter::Interpreter;
use super::layout::{Entry, GilPlace, LAYOUT, Layout};

/// No more threads than these are looked for.
const MOST_THREADS: usize = 4096;

/// How an interpreter is read.
#[derive(Clone, Copy)]
pub struct Reader {
    /// Whose memory it is in.
    pub subject: TargetProcess,
    /// Where its structures keep what.
    pub layout: Layout,
    /// By its type a code object is known to be one.
    pub code_type: usize,
    /// By its type a string is known to be one.
    pub text_type: usize,
}

/// A frame as four words: where it is, the code object, the next instruction, whether the interpreter was entered for
/// it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawFrame {
    pub frame: usize,
    pub code: usize,
    pub instruction: usize,
    pub entry: bool,
}

/// How many words a frame takes.
pub const WORDS: usize = 4;

impl Reader {
    /// For the interpreter of this process, if its layout is known.
    pub fn own() -> Option<Self> {
        Some(Self {
            subject: TargetProcess::OWN,
            layout: LAYOUT?,
            code_type: (&raw const ffi::PyCode_Type).addr(),
            text_type: (&raw const ffi::PyUnicode_Type).addr(),
        })
    }

    /// The threads of an interpreter, from its first one on, and the holder of its GIL.
    pub fn threads(&self, runtime: usize, interpreter: usize, first: usize) -> Interpreter {
        let (subject, layout) = (self.subject, &self.layout);
        let mut state = first;
        let mut states = HashMap::new();
        let mut by_state = HashMap::new();
        while state != 0 && states.len() < MOST_THREADS {
            let tid = subject.word(state + layout.thread.native_id);
            let Some(tid) = tid.and_then(|tid| i32::try_from(tid).ok()) else {
                break;
            };
            states.insert(tid, state);
            by_state.insert(state, tid);
            state = subject.word(state + layout.thread.next).unwrap_or(0);
        }
        let gil = match layout.gil.place {
            GilPlace::Runtime(offset) => Some(runtime + offset),
            GilPlace::Interpreter(offset) => subject.word(interpreter + offset),
        };
        let holder = gil
            .filter(|gil| subject.int(gil + layout.gil.locked) == Some(1))
            .and_then(|gil| {
                let holder = subject.word(gil + layout.gil.holder)?;
                by_state.get(&holder).copied()
            });
        Interpreter {
            states,
            holder,
            known: true,
        }
    }

    /// Notes the frames of the thread whose state is given, up to the one at `end`; returns how many words it wrote.
    pub fn note(&self, state: usize, words: &mut [usize], end: usize) -> usize {
        if state == 0 {
            return 0;
        }
        let thread = &self.layout.thread;
        let top = self.subject.word(state + thread.top);
        let mut at = match thread.through {
            Some(offset) => top.and_then(|through| self.subject.word(through + offset)),
            None => top,
        };
        let (frames, _) = words.as_chunks_mut::<WORDS>();
        let mut count = 0;
        // The frames that the C stack owns are none of Python's, so there are more steps than frames.
        for _ in 0..2 * frames.len() {
            let Some(frame) = at
                .filter(|&at| at != 0 && at != end && count < frames.len())
                .and_then(|at| self.frame(at))
            else {
                break;
            };
            match frame.is_c {
                true if count > 0 => frames[count - 1][3] = 1,
                true => {}
                false => {
                    frames[count] = [
                        frame.at,
                        frame.code,
                        frame.instruction,
                        usize::from(frame.entry),
                    ];
                    count += 1;
                }
            }
            at = Some(frame.previous);
        }
        count * WORDS
    }

    fn frame(&self, at: usize) -> Option<Read> {
        /// `FRAME_OWNED_BY_CSTACK`.
        const C_STACK: u8 = 3;
        let layout = &self.layout.frame;
        let mut bytes = [0; 72];
        let bytes = bytes.get_mut(..layout.size)?;
        (self.subject.read(at, bytes).ok()? == layout.size).then_some(())?;
        let word = |offset: usize| {
            let word = bytes.get(offset..offset + size_of::<usize>())?;
            Some(usize::from_ne_bytes(word.try_into().ok()?))
        };
        let (entry, is_c) = match layout.entry {
            Entry::Flag(offset) => (*bytes.get(offset)? != 0, false),
            Entry::Owner(offset) => (false, *bytes.get(offset)? == C_STACK),
        };
        Some(Read {
            at,
            code: word(layout.code)?,
            instruction: word(layout.instruction)?,
            previous: word(layout.previous)?,
            entry,
            is_c,
        })
    }
}

/// One frame.
struct Read {
    at: usize,
    code: usize,
    instruction: usize,
    previous: usize,
    entry: bool,
    is_c: bool,
}

/// The frames behind words.
pub fn unpack(words: &[usize]) -> Vec<RawFrame> {
    let (frames, _) = words.as_chunks::<WORDS>();
    let frame = |&[frame, code, instruction, entry]: &[usize; WORDS]| RawFrame {
        frame,
        code,
        instruction,
        entry: entry != 0,
    };
    frames.iter().map(frame).collect()
}
