//! The interpreter's threads, their Python frames and the holder of the GIL, read from memory without the GIL.
//!
//! All reading goes through the operating system, so that what changes meanwhile gives a wrong answer at worst, which
//! the types of the objects give away, and never a crash. Nothing is read before the layout has been compared with what
//! CPython's C interface says.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use diaphane_trace::recorder::Place;
use pyo3::ffi;
use pyo3::prelude::*;

use super::layout::{Entry, LAYOUT, Layout};
use super::reader::{RawFrame, Reader, unpack};

/// Whether the layout was found to hold in this process.
static HOLDS: AtomicBool = AtomicBool::new(false);
/// The frame at which `note_above` ends.
static FLOOR: AtomicUsize = AtomicUsize::new(0);

#[allow(unsafe_code, reason = "a variable of CPython's")]
unsafe extern "C" {
    /// What the interpreters share; only its address is used.
    static _PyRuntime: u8;
}

/// The threads that Python knows, at one moment.
#[derive(Debug, Default, Clone)]
pub struct Interpreter {
    /// The state of each, by the kernel's number.
    pub states: HashMap<i32, usize>,
    /// Who holds the GIL.
    pub holder: Option<i32>,
    /// Whether anything could be read.
    pub known: bool,
}

impl Interpreter {
    /// Looks, if it is known how.
    pub fn look() -> Self {
        match Reader::own().filter(|_| HOLDS.load(Ordering::Relaxed)) {
            Some(reader) => Self::read(&reader),
            None => Self::default(),
        }
    }

    #[allow(unsafe_code, reason = "CPython's C interface")]
    fn read(reader: &Reader) -> Self {
        // SAFETY: both only read a field of the main interpreter, which lives as long as Python.
        let (main, first) = unsafe {
            let main = ffi::PyInterpreterState_Main();
            (main.addr(), ffi::PyInterpreterState_ThreadHead(main).addr())
        };
        reader.threads((&raw const _PyRuntime).addr(), main, first)
    }

    /// The frames of a thread, the innermost first; of a thread that runs they may be torn.
    pub fn frames(&self, tid: i32) -> Vec<RawFrame> {
        let mut words = [0; diaphane_sight::unwind::WORDS];
        let count = self
            .states
            .get(&tid)
            .map_or(0, |&state| note(state, &mut words));
        unpack(&words[..count])
    }
}

/// Notes the frames of the thread whose state is given. It is safe in a signal handler: it allocates nothing, and reads
/// through the operating system.
pub fn note(state: usize, words: &mut [usize]) -> usize {
    note_until(state, words, 0)
}

/// The same without the frame that was given to `begin_above`, and without those that called it.
pub fn note_above(state: usize, words: &mut [usize]) -> usize {
    note_until(state, words, FLOOR.load(Ordering::Relaxed))
}

/// Says where `note_above` ends: at the frame that runs now on this thread.
pub fn begin_above(tid: i32) {
    let frames = Interpreter::look().frames(tid);
    let top = frames.first().map_or(0, |frame| frame.frame);
    FLOOR.store(top, Ordering::Relaxed);
}

fn note_until(state: usize, words: &mut [usize], end: usize) -> usize {
    Reader::own().map_or(0, |reader| reader.note(state, words, end))
}

/// How the recorder finds the instruction that the calling thread's interpreter is at; `None` where the layout is not
/// known to hold.
#[allow(unsafe_code, reason = "CPython's C interface")]
pub fn place(_py: Python<'_>) -> Option<Place> {
    /// Where the state is a part of the chain, its address must lie in memory.
    static STATE: AtomicUsize = AtomicUsize::new(0);
    let layout = LAYOUT.as_ref().filter(|_| HOLDS.load(Ordering::Relaxed))?;
    // SAFETY: the GIL is held, as `_py` proves.
    let state = unsafe { ffi::PyThreadState_Get() }.addr();
    STATE.store(state, Ordering::Relaxed);
    let (root, through) = match layout.thread.through {
        Some(through) => (state + layout.thread.top, through),
        None => (STATE.as_ptr().addr(), layout.thread.top),
    };
    Some(Place {
        root,
        through,
        instruction: layout.frame.instruction,
        previous: layout.frame.previous,
        owner: match layout.frame.entry {
            Entry::Owner(owner) => Some(owner),
            Entry::Flag(_) => None,
        },
    })
}

/// The layout, once it was found to hold.
pub fn layout_that_holds() -> Option<&'static Layout> {
    static KNOWN: Option<Layout> = LAYOUT;
    KNOWN.as_ref().filter(|_| HOLDS.load(Ordering::Relaxed))
}

/// Where a code object's instructions begin, counted from its own address.
pub fn instructions() -> Option<usize> {
    Some(LAYOUT.as_ref()?.code.instructions)
}

/// Compares the layout with what the C interface says about the thread that asks.
#[allow(unsafe_code, reason = "CPython's C interface")]
pub fn check(_py: Python<'_>) {
    if HOLDS.load(Ordering::Relaxed) {
        return;
    }
    let Some(reader) = Reader::own() else { return };
    let found = Interpreter::read(&reader);
    let own = nix::unistd::gettid().as_raw();
    // SAFETY: the GIL is held, as `_py` proves.
    let state = unsafe { ffi::PyThreadState_Get() };
    // SAFETY: as above; the result is a new reference, or null without a frame.
    let frame = unsafe { ffi::PyThreadState_GetFrame(state) };
    if frame.is_null() {
        return;
    }
    // SAFETY: `frame` is a frame of ours; the result is a new reference.
    let code = unsafe { ffi::PyFrame_GetCode(frame) };
    let top = found.frames(own).first().copied();
    let holds = found.states.get(&own) == Some(&state.addr())
        && found.holder == Some(own)
        && top.is_some_and(|top| top.code == code.addr());
    // SAFETY: both references are ours.
    unsafe {
        ffi::Py_DECREF(code.cast());
        ffi::Py_DECREF(frame.cast());
    }
    HOLDS.store(holds, Ordering::Relaxed);
}
