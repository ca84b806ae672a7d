//! The interpreter's threads, their Python frames and the holder of the GIL, read from memory without the GIL.
//!
//! All reading goes through the operating system, so that what changes meanwhile gives a wrong answer at worst, which
//! the types of the objects give away, and never a crash. Nothing is read before [`check`](crate::check()) has compared
//! the layout with what CPython's C interface says.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use diaphane_sight::proc::spans::Span;
use diaphane_sight::threads::Call;
use diaphane_trace::recorder::Place;
use pyo3::ffi;
use pyo3::prelude::*;

use crate::own_layout::{layout, layout_that_holds, runtime};
use crate::reader::{RawFrame, Reader, unpack};
use crate::versions::Entry;

/// No more threads than these are looked for.
const MOST_THREADS: usize = 4096;

/// The frame at which `note_above` ends.
static FLOOR: AtomicUsize = AtomicUsize::new(0);

/// The threads that Python knows, at one moment.
#[derive(Debug, Default, Clone)]
pub struct Interpreter {
    /// The state of each, by the kernel's number.
    pub states: HashMap<i32, usize>,
    /// Who holds the GIL.
    pub holder: Option<i32>,
    /// Whether anything could be read; [`support`](crate::support()) says why not.
    pub known: bool,
    /// Whether there is a GIL: a free-threaded Python does without, unless a module needs it.
    pub has_gil: bool,
}

impl Interpreter {
    /// Looks, if it is known how.
    pub fn look() -> Self {
        match Reader::own().filter(|_| layout_that_holds().is_some()) {
            Some(reader) => Self::read(&reader),
            None => Self::default(),
        }
    }

    #[allow(unsafe_code, reason = "CPython's C interface")]
    pub(crate) fn read(reader: &Reader) -> Self {
        // SAFETY: both only read a field of the main interpreter, which lives as long as Python.
        let (main, first) = unsafe {
            let main = ffi::PyInterpreterState_Main();
            (main.addr(), ffi::PyInterpreterState_ThreadHead(main).addr())
        };
        Self::of(reader, runtime(), main, first)
    }

    /// The threads of an interpreter, from its first one on, and the holder of its GIL.
    pub(crate) fn of(reader: &Reader, runtime: usize, interpreter: usize, first: usize) -> Self {
        let layout = &reader.layout.thread;
        let mut state = first;
        let mut states = HashMap::new();
        let mut by_state = HashMap::new();
        while state != 0 && states.len() < MOST_THREADS {
            let tid = reader.word(state, layout.native_id);
            let Some(tid) = tid.and_then(|tid| i32::try_from(tid).ok()) else {
                break;
            };
            states.insert(tid, state);
            by_state.insert(state, tid);
            state = reader.word(state, layout.next).unwrap_or(0);
        }
        let gil = reader.gil(runtime, interpreter);
        let holder = gil.and_then(|gil| by_state.get(&reader.holder(gil)?).copied());
        Self {
            states,
            holder,
            known: true,
            has_gil: gil.is_none_or(|gil| reader.is_used(gil)),
        }
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

/// The same for a thread by its number, which is looked for among those that Python knows. It is safe in a signal handler.
pub fn note_above_of(tid: i32, words: &mut [usize]) -> usize {
    state_of(tid).map_or(0, |state| note_above(state, words))
}

/// Has CPython call the Python handler of a signal, before its next look for signals. It is safe in a signal handler.
#[allow(unsafe_code, reason = "CPython's C interface")]
pub fn note_signal(signal: i32) {
    // SAFETY: CPython documents that this may be called in a signal handler, and without the GIL.
    unsafe { ffi::PyErr_SetInterruptEx(signal) };
}

/// The state of a thread, read through the operating system.
#[allow(unsafe_code, reason = "CPython's C interface")]
fn state_of(tid: i32) -> Option<usize> {
    let reader = Reader::own().filter(|_| layout_that_holds().is_some())?;
    let layout = &reader.layout.thread;
    // SAFETY: both only read a field of the main interpreter, which lives as long as Python.
    let mut state =
        unsafe { ffi::PyInterpreterState_ThreadHead(ffi::PyInterpreterState_Main()) }.addr();
    for _ in 0..MOST_THREADS {
        if state == 0 {
            return None;
        }
        if reader.word(state, layout.native_id)? == tid as usize {
            return Some(state);
        }
        state = reader.word(state, layout.next)?;
    }
    None
}

/// Says where `note_above` ends: at the frame that runs now on this thread.
pub fn begin_above(tid: i32) {
    let frames = Interpreter::look().frames(tid);
    let top = frames.first().map_or(0, |frame| frame.frame);
    FLOOR.store(top, Ordering::Relaxed);
}

/// Says that `note_above` ends nowhere: what is noted goes on in the frame that began to, and in those that called it.
pub fn begin_at_all() {
    FLOOR.store(0, Ordering::Relaxed);
}

fn note_until(state: usize, words: &mut [usize], end: usize) -> usize {
    Reader::own().map_or(0, |reader| reader.note(state, words, end))
}

/// Whether a system call waits for the GIL, of an interpreter whose `_PyRuntime` is known: no other lock lies there.
pub fn is_gil_wait(runtime: Option<Span>, call: &Call) -> bool {
    let inside = runtime.is_some_and(|runtime| runtime.contains(call.first));
    inside && call.name == Some("futex")
}

/// How the recorder finds the instruction that the calling thread's interpreter is at; `None` where the layout is not
/// known to hold.
#[allow(unsafe_code, reason = "CPython's C interface")]
pub fn place(_py: Python<'_>) -> Option<Place> {
    /// Where the state is a part of the chain, its address must lie in memory.
    static STATE: AtomicUsize = AtomicUsize::new(0);
    let layout = layout_that_holds()?;
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
            Entry::Owner(owner) => Some((owner.at, owner.first_of_c)),
            Entry::Flag(_) => None,
        },
    })
}

/// Where a code object's instructions begin, counted from its own address.
pub(crate) fn instructions() -> Option<usize> {
    Some(layout()?.code.instructions)
}
