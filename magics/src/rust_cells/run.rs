//! One run of a compiled cell, on the thread that asked, while Python's other threads run.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use diaphane_cell::abi::{Ctx, DONE, Entry, FAILED, LOCKED, PANICKED};
use diaphane_rust_protocol::Compile;
use diaphane_trace::recorder::{self, functions};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::failure::{self, ErrorLocation};
use super::guard::{self, Crash};
use super::library::{CellImage, LoadedCell};
use super::redirect::DisplayBundle;
use super::{isolated, kept, nanoseconds, taint};
use crate::error::Error;
use crate::magic::User;
use crate::python::ipython::shell;
use crate::rust_cells::export::Exports;
use crate::rust_cells::results::{CellResults, HOST};

/// How a run ended, and what it handed over.
pub struct Done {
    pub status: Result<u32, Ended>,
    pub taken: CellResults,
    /// How long it ran, if it came to an end.
    pub run_ns: Option<u64>,
    /// How long it took to make a process for it, with copies of what it may change.
    pub fork_ns: Option<u64>,
    /// How long it took to take over what that process has left.
    pub back_ns: Option<u64>,
}

/// What ended a run from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// A fault, or the second interrupt.
    Crashed(Crash),
    /// A signal that its own process could not handle.
    Killed(i32),
    /// Its own process was left with this code.
    Left(i32),
}

/// Where a function runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// In the kernel.
    None,
    /// In a process of its own.
    Process,
}

/// How many Rust cells have begun, and how many of them run.
static BEGUN: AtomicU64 = AtomicU64::new(0);
static RUNNING: AtomicUsize = AtomicUsize::new(0);

/// How many Rust cells have begun, and how many of them run: what they write may hold displays.
pub fn rust_cells_begun() -> (u64, usize) {
    let begun = BEGUN.load(Ordering::Acquire);
    (begun, RUNNING.load(Ordering::Acquire))
}

/// A Rust cell that runs, until this is dropped.
struct RunningCell;

impl RunningCell {
    fn begin() -> Self {
        RUNNING.fetch_add(1, Ordering::AcqRel);
        BEGUN.fetch_add(1, Ordering::AcqRel);
        Self
    }
}

impl Drop for RunningCell {
    fn drop(&mut self) {
        RUNNING.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Runs a function of a cell's library, which is found in its image.
pub fn run(
    loaded: &LoadedCell,
    isolation: Isolation,
    find: impl Fn(&CellImage) -> Entry,
    exports: &Exports<'_>,
    py: Python<'_>,
) -> Result<Done, Error> {
    if let Some(taint) = taint::taint().filter(|taint| taint.is_last) {
        return Err(Error::Usage(format!(
            "%%rust: no Rust cell can run any more: the fault in In[{}] was in a hook for panics, and the lock that it held \
             stays locked; save your work and restart the kernel",
            taint.cell
        )));
    }
    let _running = RunningCell::begin();
    match isolation {
        Isolation::None => Ok(run_here(&loaded.image, find(&loaded.image), exports, py)),
        Isolation::Process => {
            let image = loaded.isolated()?;
            isolated::run(find(image), image.last_words, exports, py)
        }
    }
}

/// A call that may be made without the GIL: what it points to stays where it is.
struct DetachedCall<'a> {
    image: &'a CellImage,
    entry: Entry,
    context: &'a Ctx,
}

#[allow(unsafe_code, reason = "the pointers of a context are for any thread")]
// SAFETY: the call is made on the thread that made it; `detach` cannot know that.
unsafe impl Send for DetachedCall<'_> {}

impl DetachedCall<'_> {
    fn make(self) -> Result<u32, Crash> {
        let number = recorder::is_running().then(|| functions::register(self.entry as usize));
        let ended = self.call(self.entry, number.flatten());
        if ended.is_err() && !guard::is_in_call() {
            // What the thread still holds of the run would end the next one. A fault in here is as bad as a lock.
            let recovered = self.call(self.image.recover, None);
            if recovered.map_or(true, |status| status == LOCKED) {
                taint::set_last();
            }
        }
        ended
    }

    fn call(&self, entry: Entry, number: Option<u32>) -> Result<u32, Crash> {
        #[allow(unsafe_code, reason = "the cell is called")]
        // SAFETY: the cell was compiled for values of these types.
        unsafe {
            guard::call(entry, self.context, self.image.code.clone(), number)
        }
    }
}

fn run_here(image: &CellImage, entry: Entry, exports: &Exports<'_>, py: Python<'_>) -> Done {
    let args = exports.args();
    let mut taken = CellResults::default();
    let context = taken.context(&args, &HOST_NOW);
    let call = DetachedCall {
        image,
        entry,
        context: &context,
    };
    let began = Instant::now();
    let status = py.detach(|| call.make());
    Done {
        status: status.map_err(Ended::Crashed),
        taken,
        run_ns: Some(nanoseconds(began)),
        fork_ns: None,
        back_ns: None,
    }
}

/// The functions of the host, at an address.
static HOST_NOW: diaphane_cell::abi::Host = HOST;

/// Binds the results and displays, or raises what went wrong.
pub fn deliver(
    done: Done,
    loaded: &LoadedCell,
    asked: &Compile,
    user: User<'_, '_>,
) -> Result<(), Error> {
    let py = user.py;
    let spot = ErrorLocation {
        lines: &loaded.compiled.lines,
        compiled: loaded.cell,
        runs: asked.cell,
        source: &asked.source,
        lines_above: asked.lines_above,
    };
    let taken = outcome(done, &spot, py)?;
    for bundle in &taken.shown {
        display(py, bundle)?;
    }
    for (number, result) in taken.results {
        if let Some(name) = asked.outputs.get(number as usize) {
            user.namespace.set_item(name, result.into_python(py)?)?;
        } else if let Some(about) = loaded
            .compiled
            .keeps
            .get(number as usize - asked.outputs.len())
        {
            kept::keep(about, asked.cell, result);
        }
    }
    py.check_signals()?;
    Ok(())
}

/// What a run handed over, or what went wrong.
pub fn outcome(done: Done, spot: &ErrorLocation<'_>, py: Python<'_>) -> Result<CellResults, Error> {
    let (words, line) = &done.taken.failure;
    match done.status {
        Ok(DONE) => Ok(done.taken),
        Ok(PANICKED) => Err(failure::failed(py, "RustPanic", words, *line, spot)),
        Ok(FAILED) => Err(failure::failed(py, "RustError", words, *line, spot)),
        Ok(_) => Err(Error::Usage(
            "%%rust: the cell was compiled for another version of diaphane; %rust_reset, and run it again".into(),
        )),
        Err(ended) => {
            let said = (words.as_str(), *line);
            let failure = failure::ended(py, ended, said, done.fork_ns.is_some(), spot);
            // Of an interrupt Python knows too, and it has its own exception.
            py.check_signals()?;
            Err(failure)
        }
    }
}

/// Displays a value as IPython displays values; without IPython it is printed.
fn display(py: Python<'_>, bundle: &DisplayBundle) -> PyResult<()> {
    if shell(py)?.is_none() {
        let print = py.import("builtins")?.getattr("print")?;
        let plain = bundle.iter().find(|(mime, _)| mime == "text/plain");
        let shown = plain.or_else(|| bundle.first()).map(|(_, text)| text);
        return shown.map_or(Ok(()), |text| print.call1((text,)).map(drop));
    }
    let data = PyDict::new(py);
    for (mime, text) in bundle {
        data.set_item(mime, content(py, mime, text)?)?;
    }
    if data.is_empty() {
        return Ok(());
    }
    let publish = py
        .import("IPython.display")?
        .getattr("publish_display_data")?;
    publish.call1((data,)).map(drop)
}

/// A part of a display as a front end wants it: JSON as the object that it is, unless it is none.
fn content<'py>(py: Python<'py>, mime: &str, text: &str) -> PyResult<Bound<'py, PyAny>> {
    if mime == "application/json" || mime.ends_with("+json") {
        let object = py.import("json")?.getattr("loads")?.call1((text,));
        if let Ok(object) = object {
            return Ok(object);
        }
    }
    Ok(text.into_pyobject(py)?.into_any())
}
