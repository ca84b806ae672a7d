//! What imports do, which is one step of a cell: their own calls are counted only, unless they are asked for.
//!
//! An import runs importlib's `_find_and_load`, and whatever the modules do, on the thread that imports. It makes more
//! calls than most cells do, and would take the room of what the cell is about.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

use diaphane_trace::recorder;
use pyo3::prelude::*;

/// The code object of `_find_and_load`; 0 where imports are recorded like everything else. The module keeps it alive.
static LOADER: AtomicUsize = AtomicUsize::new(0);

/// How deep a thread is in imports, and in which recording that was.
#[derive(Debug, Clone, Copy)]
struct Depth {
    recording: u64,
    imports: usize,
}

thread_local! {
    static DEPTH: Cell<Depth> = const { Cell::new(Depth { recording: 0, imports: 0 }) };
}

/// The function that imports are known by.
pub const FUNCTION: &str = "_find_and_load";

/// Begins: are imports one step each?
pub fn begin(py: Python<'_>, are_folded: bool) {
    let loader = || {
        let bootstrap = py.import("importlib")?.getattr("_bootstrap")?;
        let code = bootstrap.getattr(FUNCTION)?.getattr("__code__")?;
        Ok::<usize, PyErr>(code.as_ptr().addr())
    };
    // Somebody may have put something else in its place: then nothing is folded.
    let loader = if are_folded { loader().unwrap_or(0) } else { 0 };
    LOADER.store(loader, Ordering::Relaxed);
}

/// How deep the calling thread is in imports of this recording.
fn depth() -> usize {
    let known = DEPTH.get();
    if known.imports == 0 || known.recording != recorder::running() {
        0
    } else {
        known.imports
    }
}

fn set(imports: usize) {
    let recording = recorder::running();
    DEPTH.set(Depth { recording, imports });
}

/// Whether the calling thread is in an import, so that what it does is no news.
pub fn is_inside() -> bool {
    depth() > 0
}

/// A function begins that may be an import: it was noted, if it is the first.
pub fn entered(code: usize) {
    if code != LOADER.load(Ordering::Relaxed) || code == 0 {
        return;
    }
    let before = depth();
    set(before + 1);
    if before == 0 {
        recorder::mute();
    }
}

/// A function ends that may be an import; says whether that was the outermost, and all is news again.
pub fn left(code: usize) -> bool {
    let before = depth();
    if code != LOADER.load(Ordering::Relaxed) || before == 0 {
        return false;
    }
    set(before - 1);
    if before == 1 {
        recorder::unmute();
    }
    before == 1
}

/// Runs something as if it were an import.
pub fn as_in_one<T>(run: impl FnOnce() -> T) -> T {
    let before = depth();
    set(before + 1);
    recorder::mute();
    let result = run();
    recorder::unmute();
    set(before);
    result
}
