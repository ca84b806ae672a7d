//! The stack of one thread as plain values, for profilers that ask again and again.

use pyo3::prelude::*;

use crate::error::Error;
use crate::stacks::merged::{FrameKind, StackFrame, StackOptions, stacks_of};
use crate::stacks::snapshot::ProcessSnapshot;
use diaphane_cpython::check;

/// A function: its name, its library, its address, and how far behind its beginning that is. Python's have no library and
/// no address.
type PlainFrame = (String, Option<String>, usize, usize);

/// The functions of a thread by Linux's number of it, the innermost first and without the interpreter's own; none where
/// there is no such thread, and of the calling one.
#[pyfunction]
pub(super) fn thread_stack(py: Python<'_>, tid: i32) -> PyResult<Vec<PlainFrame>> {
    check(py);
    let wanted = StackOptions {
        locals: false,
        gil: true,
    };
    let snapshot = ProcessSnapshot::look().map_err(Error::into_plain_exception)?;
    let mut stacks = stacks_of(&snapshot, wanted, |thread| thread.tid == tid);
    let stack = stacks.remove(&tid).unwrap_or_default();
    let frames = stack.calls.into_iter();
    Ok(frames.map(plain).collect())
}

fn plain(frame: StackFrame) -> PlainFrame {
    let name = frame.function.unwrap_or_else(|| "?".to_owned());
    match frame.kind {
        FrameKind::Python => (name, None, 0, 0),
        FrameKind::Native => {
            let library = frame.library.unwrap_or_else(|| "?".to_owned());
            let address = frame.address.unwrap_or(0);
            let offset = frame.offset.unwrap_or(0);
            (name, Some(library), address, offset)
        }
    }
}
