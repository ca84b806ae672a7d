//! Where this process's own Python keeps what, and whether that was found to hold.

use diaphane_forks::ForkOnce;
use std::sync::atomic::{AtomicUsize, Ordering};

use diaphane_sight::proc::target_process::TargetProcess;
use pyo3::ffi;

use crate::versions::{self, Layout, Unknown, Version};

/// What is compared, as the user reads it.
pub(crate) const FIELDS: [&str; 9] = [
    "the state of a thread",
    "the holder of the GIL",
    "a frame's code",
    "a frame's caller",
    "a frame's instruction",
    "the name of a function",
    "the name of a file",
    "the table of lines",
    "the names of variables",
];
pub(crate) const STATE: usize = 0;
pub(crate) const HOLDER: usize = 1;
pub(crate) const CODE: usize = 2;
pub(crate) const CALLER: usize = 3;
pub(crate) const INSTRUCTION: usize = 4;
pub(crate) const FUNCTION: usize = 5;
pub(crate) const FILE: usize = 6;
pub(crate) const LINES: usize = 7;
pub(crate) const VARIABLES: usize = 8;

/// What came of it: a field that differs, or one of these.
static RESULT: AtomicUsize = AtomicUsize::new(NOT_YET);
const NOT_YET: usize = usize::MAX;
const HOLDS: usize = usize::MAX - 1;

static LAYOUT: ForkOnce<Result<Layout, Unknown>> = ForkOnce::new();

#[allow(unsafe_code, reason = "a variable of CPython's")]
unsafe extern "C" {
    /// What the interpreters share; only its address is used.
    static _PyRuntime: u8;
}

/// Where this process's interpreters share what they share.
pub(crate) fn runtime() -> usize {
    (&raw const _PyRuntime).addr()
}

/// What is known of this process's structures.
pub(crate) enum Checked {
    Holds,
    NotYet,
    Differs(&'static str),
    Unknown(Unknown),
}

/// What came of the comparison.
pub(crate) fn checked() -> Checked {
    match (LAYOUT.get(), RESULT.load(Ordering::Acquire)) {
        (Some(Err(why)), _) => Checked::Unknown(*why),
        (_, HOLDS) => Checked::Holds,
        (_, field) => FIELDS
            .get(field)
            .map_or(Checked::NotYet, |field| Checked::Differs(field)),
    }
}

/// This process's version.
#[allow(unsafe_code, reason = "a constant of CPython's")]
pub(crate) fn version() -> Version {
    // SAFETY: the constant is never written.
    Version(unsafe { ffi::Py_Version } as u32)
}

/// Where the functions begin by which the interpreter takes the next value of a `map`, and of a sequence that has no
/// iterator of its own; they have names only where the interpreter was not stripped.
#[allow(unsafe_code, reason = "a field of CPython's types")]
pub fn steps() -> [usize; 2] {
    // SAFETY: the field is written before Python has started, and then only read.
    let map = unsafe { ffi::PyMap_Type.tp_iternext };
    // SAFETY: as above.
    let sequence = unsafe { ffi::PySeqIter_Type.tp_iternext };
    [map, sequence].map(|function| function.map_or(0, |function| function as usize))
}

/// The layout, which need not hold.
pub(crate) fn layout() -> Option<&'static Layout> {
    LAYOUT.get()?.as_ref().ok()
}

/// The layout, once it was found to hold. It is safe to ask in a signal handler.
pub(crate) fn layout_that_holds() -> Option<&'static Layout> {
    let holds = RESULT.load(Ordering::Acquire) == HOLDS;
    holds.then(layout).flatten()
}

/// Looks where this process's Python keeps what.
pub(crate) fn find() {
    LAYOUT.get_or_init(|| versions::layout(TargetProcess::OWN, runtime(), version()));
}

/// Remembers what came of a comparison; the error is the field that differs.
pub(crate) fn conclude(result: Result<(), usize>) {
    let result = match result {
        Ok(()) => HOLDS,
        Err(field) => field,
    };
    RESULT.store(result, Ordering::Release);
}
