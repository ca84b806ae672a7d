//! Where the cell itself begins and ends in the log of its thread.
//!
//! IPython runs a cell statement by statement, and compiles each before. What happens in between is no part of the cell
//! and must not use up its room, so the log goes on where the statement before has ended.

use std::sync::atomic::{AtomicUsize, Ordering};

use diaphane_forks::ProcessLock;
use diaphane_trace::recorder::{self, Mark};
use pyo3::prelude::*;
use pyo3::types::PyString;

/// The code object of the statement that runs; 0 in between.
static RUNS: AtomicUsize = AtomicUsize::new(0);
static CELL: ProcessLock<Option<Cell>> = ProcessLock::new(|| None);

/// What is known of the cell.
struct Cell {
    /// The file name of its code.
    file: String,
    /// The thread that runs it.
    tid: i32,
    /// The code objects of its statements.
    statements: Vec<usize>,
    /// Where the last one has ended.
    ended: Mark,
}

/// Begins, for a cell whose code has this file name, on the thread that calls.
pub fn begin(file: &Bound<'_, PyString>) -> PyResult<()> {
    *CELL.lock() = Some(Cell {
        file: file.extract()?,
        tid: nix::unistd::gettid().as_raw(),
        statements: Vec::new(),
        ended: Mark::default(),
    });
    RUNS.store(0, Ordering::Relaxed);
    Ok(())
}

/// Ends.
pub fn end() {
    *CELL.lock() = None;
    RUNS.store(0, Ordering::Relaxed);
}

/// A Python function is about to be noted.
pub fn enters(code: &Bound<'_, PyAny>, is_new: bool) {
    if RUNS.load(Ordering::Relaxed) != 0 {
        return;
    }
    let address = code.as_ptr().addr();
    let mut cell = CELL.lock();
    let Some(cell) = cell.as_mut() else { return };
    if is_new && is_statement(code, &cell.file) {
        cell.statements.push(address);
    }
    if cell.statements.contains(&address) && cell.tid == nix::unistd::gettid().as_raw() {
        recorder::forget_since(cell.ended);
        RUNS.store(address, Ordering::Relaxed);
    }
}

/// A Python function was noted to end.
pub fn leaves(code: usize) {
    if RUNS.load(Ordering::Relaxed) != code || code == 0 {
        return;
    }
    if let Some(cell) = CELL.lock().as_mut() {
        cell.ended = recorder::mark();
    }
    RUNS.store(0, Ordering::Relaxed);
}

/// Whether it is the code of a cell, and not of a function in it.
fn is_statement(code: &Bound<'_, PyAny>, file: &str) -> bool {
    let is = |field: &str, wanted: &str| {
        let value = code.getattr(field).ok();
        let value = value.and_then(|value| value.cast_into::<PyString>().ok());
        value.is_some_and(|value| value.to_str().is_ok_and(|value| value == wanted))
    };
    is("co_name", "<module>") && is("co_filename", file)
}
