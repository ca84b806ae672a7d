//! The class `Recording`: what goes on in a block of a program, as `with` begins and ends it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::ThreadId;

use parking_lot::Mutex;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::api::report::PyReport;
use crate::cli::Line;
use crate::error::Error;
use crate::libraries::names::file_name;
use crate::magic::{Context, RecordedCode, User, Way};
use crate::python::ipython::cell_of;
use crate::registry::{self, Begun};
use crate::stacks::authors::own_module;
use diaphane_cpython::check;
use diaphane_report::Report;

thread_local! {
    /// What was begun on this thread, by numbers. Nothing of it is ended when the thread is: Python may be gone by then.
    static RUNNING: RefCell<ManuallyDrop<HashMap<u64, OfThread>>> = RefCell::default();
}

/// A recording of this thread, and a share of what its owner keeps as well: one that nobody else has is nobody's.
struct OfThread(Begun, Arc<()>);

/// A recording that begins with a block and ends with it. The block's variable is the report, which is there at the end.
#[pyclass(frozen, subclass, name = "Recording", module = "diaphane")]
pub(crate) struct PyRecording {
    #[pyo3(get)]
    name: String,
    #[pyo3(get)]
    words: Vec<String>,
    /// The function that is recorded, if it is one.
    function: Option<Py<PyAny>>,
    /// Whether all counts that the process does.
    is_of_process: bool,
    open: Mutex<Option<Open>>,
}

/// One that runs.
struct Open {
    number: u64,
    thread: ThreadId,
    code: RecordedCode,
    report: Py<PyReport>,
    _owned: Arc<()>,
}

#[pymethods]
impl PyRecording {
    /// The variables that the code sees.
    fn variables<'py>(
        &self,
        py: Python<'py>,
        frame: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let function = self.function.as_ref().map(|function| function.bind(py));
        let globals = function.map(|function| function.getattr_opt("__globals__"));
        match globals.transpose()?.flatten() {
            Some(globals) => Ok(globals.cast_into::<PyDict>().map_err(PyErr::from)?),
            None => variables(frame),
        }
    }

    #[new]
    #[pyo3(signature = (name, words, function=None, is_of_process=false))]
    fn new(
        py: Python<'_>,
        name: String,
        words: Vec<String>,
        function: Option<Py<PyAny>>,
        is_of_process: bool,
    ) -> Self {
        // Here and not where it begins: a function of ours and its caller are enough to compare.
        check(py);
        Self {
            name,
            words,
            function,
            is_of_process,
            open: Mutex::new(None),
        }
    }

    /// Begin.
    fn __enter__(&self, py: Python<'_>) -> PyResult<Py<PyReport>> {
        if self.open.lock().is_some() {
            return Err(PyRuntimeError::new_err(
                "this recording already runs: make one for each block",
            ));
        }
        forget_what_nobody_ends();
        let frame = frame(py)?;
        let function = self.function.as_ref().map(|function| function.bind(py));
        let code = match self.is_of_process {
            true => whole_process(py),
            false => code(&frame, function)?,
        };
        let magic = registry::entry_of(&self.name).map_err(Error::into_plain_exception)?;
        let report = Py::new(py, PyReport::pending(magic.name))?;
        let namespace = self.variables(py, &frame)?;
        let context = Context {
            user: Some(User::new(py, &namespace)),
            cell: None,
            ask: registry::ask,
            begin: registry::begin,
            all: registry::questions,
        };
        let owned = Arc::new(());
        let open = Open {
            number: number(),
            thread: std::thread::current().id(),
            code,
            report: report.clone_ref(py),
            _owned: Arc::clone(&owned),
        };
        let words = Line::Words(&self.words);
        let begun = registry::begin_guarded(&self.name, words, &open.code, &context)
            .map_err(Error::into_plain_exception)?;
        RUNNING.with_borrow_mut(|running| running.insert(open.number, OfThread(begun, owned)));
        *self.open.lock() = Some(open);
        Ok(report)
    }

    /// End. What cannot be reported is a limit of the report: the block's own error is not replaced by another one.
    fn __exit__(
        &self,
        py: Python<'_>,
        _kind: &Bound<'_, PyAny>,
        _error: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> PyResult<bool> {
        let Some(open) = self.take()? else {
            return Ok(false);
        };
        let begun = RUNNING.with_borrow_mut(|running| running.remove(&open.number));
        let Some(OfThread(begun, _)) = begun else {
            return Ok(false);
        };
        let ended = frame(py)
            .and_then(|frame| self.variables(py, &frame))
            .map_err(Error::from)
            .and_then(|namespace| begun.end(&open.code, User::new(py, &namespace)));
        open.report
            .get()
            .complete(ended.unwrap_or_else(|error| Report {
                name: open.report.get().name(),
                limits: vec![error.to_string()],
                ..Report::default()
            }));
        Ok(false)
    }
}

impl PyRecording {
    /// The recording that runs, on its own thread, or in a child process, whose only thread is a copy of that one.
    fn take(&self) -> PyResult<Option<Open>> {
        let mut open = self.open.lock();
        let is_elsewhere = open
            .as_ref()
            .is_some_and(|open| open.thread != std::thread::current().id());
        if is_elsewhere {
            return Err(PyRuntimeError::new_err(
                "a recording ends on the thread on which it began",
            ));
        }
        Ok(open.take())
    }
}

fn number() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed)
}

/// Ends what was begun on this thread and whose object is gone.
fn forget_what_nobody_ends() {
    let is_nobodys = |_: &u64, one: &mut OfThread| Arc::strong_count(&one.1) == 1;
    let gone: Vec<_> = RUNNING.with_borrow_mut(|running| running.extract_if(is_nobodys).collect());
    drop(gone);
}

/// The Python function that called us, but for our own.
fn frame(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    let mut frame = py.import("sys")?.call_method0("_getframe")?;
    loop {
        let file: String = frame.getattr("f_code")?.getattr("co_filename")?.extract()?;
        let back = frame.getattr("f_back")?;
        if own_module(&file).is_none() || back.is_none() {
            return Ok(frame);
        }
        frame = back;
    }
}

/// The variables that a function sees, or those of a module.
fn variables<'py>(frame: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
    let globals = frame
        .getattr("f_globals")?
        .cast_into::<PyDict>()
        .map_err(PyErr::from)?;
    let locals = frame.getattr("f_locals")?;
    if locals.is(&globals) {
        return Ok(globals);
    }
    let all = globals.copy()?;
    all.call_method1("update", (locals,))?;
    Ok(all)
}

/// The code of a process as a whole, which stands in no file.
fn whole_process(py: Python<'_>) -> RecordedCode {
    RecordedCode {
        file: PyString::new(py, "<process>").unbind(),
        names: Vec::new(),
        source: String::new(),
        home: None,
        way: Way::Process,
    }
}

/// What is recorded: the code of a function, or that of the caller, who has the block.
fn code(frame: &Bound<'_, PyAny>, function: Option<&Bound<'_, PyAny>>) -> PyResult<RecordedCode> {
    let py = frame.py();
    let own = function.map(|function| function.getattr_opt("__code__"));
    let code = match own.transpose()?.flatten() {
        Some(code) => code,
        None => frame.getattr("f_code")?,
    };
    let file = code
        .getattr("co_filename")?
        .cast_into::<PyString>()
        .map_err(PyErr::from)?;
    let mut names: Vec<String> = Vec::new();
    for field in ["co_names", "co_varnames", "co_cellvars", "co_freevars"] {
        names.extend(code.getattr(field)?.extract::<Vec<String>>()?);
    }
    let path = file.to_string();
    let lines: Vec<String> = py
        .import("linecache")?
        .call_method1("getlines", (&file,))?
        .extract()?;
    let home = match cell_of(py, &path).ok().flatten() {
        Some(number) => format!("In[{number}]"),
        None => file_name(&path).to_owned(),
    };
    Ok(RecordedCode {
        file: file.unbind(),
        names,
        source: lines.concat(),
        home: Some(home),
        way: Way::Block,
    })
}
