//! What Python itself reports while a cell runs: functions that begin and end, and calls of functions that are written
//! in C. The callbacks are native, and append to the recorder's log.
//!
//! CPython 3.11 reports to a profile function of each thread, later versions to tools of `sys.monitoring`. Operators,
//! subscripts and attributes are reported by neither; the places that the recorder notes tell of those.

mod callables;
mod cell_bounds;
mod costs;
mod imports;
mod last_call;
#[cfg(Py_3_12)]
mod monitoring;
mod places;
#[cfg(not(Py_3_12))]
mod profile;
mod table;

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use diaphane_trace::event::{Event, kind};
use diaphane_trace::recorder;
use parking_lot::ReentrantMutex;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyString;

pub use costs::ReportCosts;
pub use imports::FUNCTION as IMPORT;
pub use places::Places;
pub use table::{CodeObject, Known};

use crate::support::NO_EVENTS;
#[cfg(Py_3_12)]
use monitoring::MonitoringSource as Source;
#[cfg(not(Py_3_12))]
use profile::ProfileSource as Source;
use table::Table;

/// What is done when an extension module was loaded.
pub type AfterLoad = Box<dyn FnMut(Python<'_>) + Send>;

/// Python's reports, for as long as this lives.
#[must_use]
pub struct PythonEvents {
    source: Option<Source>,
    limits: Vec<String>,
    /// What the numbers stand for, when it has ended.
    table: Option<Table>,
}

/// What the callbacks share. The GIL is held by whoever takes the lock, so nobody waits for it; the same thread may take
/// it again, since `after_load` may run Python.
struct Shared {
    table: RefCell<Table>,
    after_load: RefCell<Option<AfterLoad>>,
}

static SHARED: ReentrantMutex<Shared> = ReentrantMutex::new(Shared {
    table: RefCell::new(Table::EMPTY),
    after_load: RefCell::new(None),
});
/// The call that began last: most return before another one begins.
static LAST: last_call::Call = last_call::Call::none();
/// Whether reports are wanted.
static WANTED: AtomicBool = AtomicBool::new(false);
/// How many there were, and how many of them in imports. Only who holds the GIL counts.
static REPORTS: AtomicU64 = AtomicU64::new(0);
static NO_NEWS: AtomicU64 = AtomicU64::new(0);

impl PythonEvents {
    /// Begins. Where Python's reports are not to be had, the reason is among the limits.
    pub fn begin(
        py: Python<'_>,
        cell: &Bound<'_, PyString>,
        fold_imports: bool,
        after_load: AfterLoad,
    ) -> PyResult<Self> {
        let old = SHARED.lock().table.replace(Table::EMPTY);
        drop(old);
        LAST.forget();
        cell_bounds::begin(cell)?;
        imports::begin(py, fold_imports);
        let probe = costs::Probe::begin(py);
        SHARED.lock().after_load.replace(Some(after_load));
        WANTED.store(true, Ordering::Relaxed);
        // From here on an error takes back what was done.
        let mut events = Self {
            source: None,
            limits: Vec::new(),
            table: None,
        };
        if cfg!(Py_GIL_DISABLED) {
            events.limits.push(NO_EVENTS.to_owned());
        } else {
            events.source = Source::begin(py, &mut events.limits)?;
        }
        if events.source.is_some() {
            probe.end(py);
        }
        REPORTS.store(0, Ordering::Relaxed);
        NO_NEWS.store(0, Ordering::Relaxed);
        Ok(events)
    }

    /// Tells what the numbers in the events stand for. Python code may run.
    pub fn known(mut self, py: Python<'_>) -> PyResult<Known> {
        self.stop(py);
        let table = self.table.replace(Table::EMPTY).unwrap_or(Table::EMPTY);
        let mut known = table.known(py)?;
        known.limits = std::mem::take(&mut self.limits);
        known.reports = REPORTS.load(Ordering::Relaxed);
        known.no_news = NO_NEWS.load(Ordering::Relaxed);
        known.costs = costs::known();
        Ok(known)
    }

    /// Ends; nothing is reported any more, and the next recording may begin.
    pub fn stop(&mut self, py: Python<'_>) {
        if self.table.is_some() {
            return;
        }
        WANTED.store(false, Ordering::Relaxed);
        cell_bounds::end();
        if let Some(source) = self.source.take() {
            source.end(py);
        }
        // What it holds may be Python's, and is given back without the lock.
        let after_load = SHARED.lock().after_load.take();
        drop(after_load);
        self.table = Some(SHARED.lock().table.replace(Table::EMPTY));
    }
}

impl Drop for PythonEvents {
    fn drop(&mut self) {
        Python::attach(|py| self.stop(py));
    }
}

/// Whether reports are wanted still: a recording may pause before its cell ends.
fn is_wanted() -> bool {
    WANTED.load(Ordering::Relaxed) && recorder::is_running()
}

/// Counts a report; says whether it is about an import, whose own are no news.
fn is_no_news() -> bool {
    let is_inside = imports::is_inside();
    let counter = if is_inside { &NO_NEWS } else { &REPORTS };
    counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    is_inside
}

/// A Python function begins or goes on.
#[allow(unsafe_code, reason = "Python's callbacks pass raw pointers")]
unsafe fn function_enters(py: Python<'_>, code: *mut ffi::PyObject) {
    if is_no_news() {
        return imports::entered(code.addr());
    }
    // SAFETY: Python reports a code object that is alive.
    let code = unsafe { Bound::from_borrowed_ptr(py, code) };
    let (number, is_new) = SHARED.lock().table.borrow_mut().code(&code);
    cell_bounds::enters(&code, is_new);
    append(kind::PYTHON_ENTERS, number);
    imports::entered(code.as_ptr().addr());
}

/// A Python function ends or waits.
fn function_leaves(py: Python<'_>, code: *mut ffi::PyObject) {
    if is_no_news() {
        if !imports::left(code.addr()) {
            return;
        }
        // What it loaded is hooked now.
        after_load(py);
    }
    append(kind::PYTHON_LEAVES, 0);
    cell_bounds::leaves(code.addr());
}

/// Python calls something that is no Python function.
fn call_enters(callable: &Bound<'_, PyAny>) {
    if is_no_news() {
        return;
    }
    let (number, loads) = find(callable);
    LAST.begins(callable.as_ptr(), (!loads).then_some(number));
    append(kind::C_ENTERS, number);
}

/// That call returns.
fn call_leaves(callable: &Bound<'_, PyAny>) {
    if is_no_news() {
        return;
    }
    if let Some(number) = LAST.number(callable.as_ptr()) {
        return append(kind::C_LEAVES, number);
    }
    let (number, loads) = find(callable);
    append(kind::C_LEAVES, number);
    if loads {
        after_load(callable.py());
    }
}

/// The number of a callable, and whether it loads libraries.
fn find(callable: &Bound<'_, PyAny>) -> (u32, bool) {
    let shared = SHARED.lock();
    let mut table = shared.table.borrow_mut();
    let number = table.callable(callable);
    (number, table.loads(number))
}

/// Runs what is to be done after a load, without the lock: it may run Python, and so another thread. A module that loads
/// another one meanwhile is done with that.
fn after_load(py: Python<'_>) {
    let taken = SHARED.lock().after_load.take();
    if let Some(mut run) = taken {
        run(py);
        if WANTED.load(Ordering::Relaxed) {
            SHARED.lock().after_load.replace(Some(run));
        }
    }
}

fn append(id: u32, number: u32) {
    // How deep the stack is, which tells native frames that are still there from those that are not.
    let here = 0_u8;
    let event = Event {
        id,
        stack: number as usize,
        back: (&raw const here).addr(),
        ..Event::default()
    };
    match id {
        kind::PYTHON_ENTERS => recorder::note_entry(event),
        _ => recorder::note(event),
    }
}
