//! One run of a compiled cell, on the thread that asked, while Python's other threads run.

use std::ffi::c_void;
use std::ptr;

use diaphane_cell::abi::{ABI, Ctx, DONE, Entry, FAILED, PANICKED};
use diaphane_rust_protocol::Compile;
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyDict};

use super::failure::{self, Place};
use super::guard::{self, Crash, INTERRUPTED};
use super::lend::Lent;
use super::library::Loaded;
use super::take::{HOST, Taken};
use crate::python::shell;
use crate::{Error, User};

/// How a run ended, and what it handed over.
pub struct Done {
    status: Result<u32, Crash>,
    taken: Taken,
}

/// A call that may be made without the GIL: what it points to stays where it is.
struct Call<'a> {
    loaded: &'a Loaded,
    entry: Entry,
    context: &'a Ctx,
}

#[allow(unsafe_code, reason = "the pointers of a context are for any thread")]
// SAFETY: the call is made on the thread that made it; `detach` cannot know that.
unsafe impl Send for Call<'_> {}

impl Call<'_> {
    fn make(self) -> Result<u32, Crash> {
        #[allow(unsafe_code, reason = "the cell is called")]
        // SAFETY: the cell was compiled for values of these types.
        unsafe {
            guard::call(self.entry, self.context, self.loaded.code.clone())
        }
    }
}

/// Runs one of the functions of a cell's library.
pub fn run(loaded: &Loaded, entry: Entry, lent: &Lent<'_>, py: Python<'_>) -> Done {
    let args = lent.args();
    let mut taken = Taken::default();
    let host: *mut c_void = ptr::from_mut(&mut taken).cast();
    let context = Ctx {
        abi: ABI,
        nargs: args.len() as u32,
        args: args.as_ptr(),
        host,
        calls: &raw const HOST_NOW,
        interrupted: &raw const INTERRUPTED,
    };
    let call = Call {
        loaded,
        entry,
        context: &context,
    };
    let status = py.detach(|| call.make());
    Done { status, taken }
}

/// The functions of the host, at an address.
static HOST_NOW: diaphane_cell::abi::Host = HOST;

/// Binds the results and displays, or raises what went wrong.
pub fn deliver(
    done: Done,
    loaded: &Loaded,
    asked: &Compile,
    user: User<'_, '_>,
) -> Result<(), Error> {
    let py = user.py;
    let place = Place {
        lines: &loaded.compiled.lines,
        compiled: loaded.cell,
        runs: asked.cell,
        source: &asked.source,
        lines_above: asked.lines_above,
    };
    let taken = outcome(done, &place, py)?;
    for (mime, text) in &taken.shown {
        display(py, mime, text)?;
    }
    for (number, result) in taken.results {
        if let Some(name) = asked.outputs.get(number as usize) {
            user.namespace.set_item(name, result.into_python(py)?)?;
        }
    }
    py.check_signals()?;
    Ok(())
}

/// What a run handed over, or what went wrong.
pub fn outcome(done: Done, place: &Place<'_>, py: Python<'_>) -> Result<Taken, Error> {
    let (words, line) = &done.taken.failure;
    match done.status {
        Ok(DONE) => Ok(done.taken),
        Ok(PANICKED) => Err(failure::failed(py, "RustPanic", words, *line, place)),
        Ok(FAILED) => Err(failure::failed(py, "RustError", words, *line, place)),
        Ok(_) => Err(Error::Usage(
            "%%rust: the cell was compiled for another version of diaphane; %rust_reset, and run it again".into(),
        )),
        Err(crash) => {
            // Of an interrupt Python knows too, and it has its own exception.
            py.check_signals()?;
            Err(failure::crashed(py, crash))
        }
    }
}

/// Displays a value as IPython displays values; without IPython it is printed.
fn display(py: Python<'_>, mime: &str, text: &str) -> PyResult<()> {
    if shell(py)?.is_none() {
        let print = py.import("builtins")?.getattr("print")?;
        return print.call1((text,)).map(drop);
    }
    let data: Bound<'_, PyDict> = [(mime, text)].into_py_dict(py)?;
    let publish = py
        .import("IPython.display")?
        .getattr("publish_display_data")?;
    publish.call1((data,)).map(drop)
}
