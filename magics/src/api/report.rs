//! The class `Report`: what a magic found, as Python sees it.

use std::borrow::Cow;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use diaphane_sight::files;
use diaphane_sight::runtimes::glibc_malloc;
use parking_lot::Mutex;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyIterator, PyList};

use crate::error::Error;
use crate::python::objects::{named, object, python};
use diaphane_report::{PackedReport, Report, Row, view};

/// A report with more rows than these took some megabytes while it was made.
const LARGE: usize = 1000;

/// What a magic found: a sequence of rows (dicts), with diagnoses, in text, HTML and JSON.
#[pyclass(name = "Report", module = "diaphane", frozen)]
pub(crate) struct PyReport {
    kept: Mutex<KeptReport>,
    /// Whether it is still to come, since its recording runs.
    is_pending: AtomicBool,
    /// Made when somebody asks for them: showing a report needs none.
    rows: PyOnceLock<Py<PyList>>,
}

/// A report as it was made, until it is shown: from then on it may stay for as long as the session, in `Out`. A large one
/// is packed at once.
#[derive(Clone)]
enum KeptReport {
    Made(Arc<Report>),
    Packed(Arc<PackedReport>),
}

impl KeptReport {
    /// All of it but the rows, with or without these.
    fn head(&self) -> &Report {
        match self {
            Self::Made(report) => report,
            Self::Packed(packed) => packed.head(),
        }
    }

    fn whole(&self) -> Cow<'_, Report> {
        match self {
            Self::Made(report) => Cow::Borrowed(report),
            Self::Packed(packed) => Cow::Owned(packed.unpacked()),
        }
    }

    fn rows(&self) -> Cow<'_, [Row]> {
        match self {
            Self::Made(report) => Cow::Borrowed(&report.rows),
            Self::Packed(packed) => Cow::Owned(packed.rows().rows()),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Made(report) => report.rows.len(),
            Self::Packed(packed) => packed.rows().len(),
        }
    }
}

impl PyReport {
    pub(crate) fn new(report: Report) -> Self {
        let is_large = report.rows.len() > LARGE;
        let new = Self {
            kept: Mutex::new(KeptReport::Made(Arc::new(report))),
            is_pending: AtomicBool::new(false),
            rows: PyOnceLock::new(),
        };
        // One that nobody shows may stay in a variable.
        if is_large {
            new.pack();
        }
        new
    }

    /// The report of a recording that has not ended.
    pub(crate) fn pending(name: &'static str) -> Self {
        let new = Self::new(Report {
            name,
            summary: vec!["the recording still runs".into()],
            ..Report::default()
        });
        new.is_pending.store(true, Ordering::Relaxed);
        new
    }

    /// Becomes the report of a recording that has ended now.
    pub(crate) fn complete(&self, report: Report) {
        let is_large = report.rows.len() > LARGE;
        *self.kept.lock() = KeptReport::Made(Arc::new(report));
        self.is_pending.store(false, Ordering::Relaxed);
        if is_large {
            self.pack();
        }
    }

    /// The report for as long as somebody looks at it; no lock is held meanwhile.
    fn kept(&self) -> KeptReport {
        self.kept.lock().clone()
    }

    /// The whole report.
    pub(crate) fn whole(&self) -> Report {
        self.kept().whole().into_owned()
    }

    /// Packs it, unless another thread looks at it right now.
    fn pack(&self) {
        let mut kept = self.kept.lock();
        let KeptReport::Made(report) = &mut *kept else {
            return;
        };
        let Some(report) = Arc::get_mut(report).map(std::mem::take) else {
            return;
        };
        let is_large = report.rows.len() > LARGE;
        *kept = KeptReport::Packed(Arc::new(PackedReport::of(report)));
        if is_large {
            // What it took to make it and to pack it is free now, and would stay with this process.
            glibc_malloc::give_back();
        }
    }

    fn list<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let make = || {
            let kept = self.kept();
            let rows = kept.rows();
            let rows = rows.iter().map(|row| object(py, row.iter()));
            let rows = rows.collect::<PyResult<Vec<_>>>()?;
            Ok::<_, PyErr>(PyList::new(py, rows)?.unbind())
        };
        if self.is_pending.load(Ordering::Relaxed) {
            return Ok(PyList::empty(py));
        }
        Ok(self.rows.get_or_try_init(py, make)?.bind(py).clone())
    }
}

#[pymethods]
impl PyReport {
    /// The name of the magic.
    #[getter]
    pub(crate) fn name(&self) -> &'static str {
        self.kept().head().name
    }

    /// The rows, a list of dicts.
    #[getter]
    fn rows<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        self.list(py)
    }

    /// What is remarkable: dicts with code, severity, title, evidence and fix.
    #[getter]
    fn diagnoses<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        python(py, &view::json::diagnoses(self.kept().head()))
    }

    /// What holds for all rows, such as totals.
    #[getter]
    fn facts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        object(py, named(&self.kept().head().facts))
    }

    /// What could not be asked here, and why.
    #[getter]
    fn limits(&self) -> Vec<String> {
        self.kept().head().limits.clone()
    }

    /// What it says in words: the answer where there is one, and the line below the table.
    #[getter]
    fn summary(&self) -> Vec<String> {
        let kept = self.kept();
        let head = kept.head();
        let answer = head.answer.iter().flat_map(|answer| &answer.sentences);
        answer.chain(&head.summary).cloned().collect()
    }

    /// The rows as a DataFrame of pandas.
    fn to_pandas<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let frame = py.import("pandas")?.getattr("DataFrame")?;
        frame.call1((self.list(py)?,))
    }

    fn __len__(&self) -> usize {
        self.kept().len()
    }

    fn __getitem__<'py>(
        &self,
        py: Python<'py>,
        index: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.list(py)?.as_any().get_item(index)
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        self.list(py)?.try_iter()
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        view::plain(&self.kept().whole(), width(py))
    }

    /// The whole report as JSON text.
    fn to_json(&self) -> String {
        view::whole(&self.kept().whole())
    }

    /// The whole report as an HTML fragment.
    fn to_html(&self) -> String {
        view::html::report(&self.kept().whole())
    }

    /// The rows in which some field matches a regular expression, in any case; in a tree also those above them.
    fn filter(&self, py: Python<'_>, pattern: &str) -> PyResult<Self> {
        let kept = self.kept().whole().filtered(pattern);
        kept.map(Self::new)
            .map_err(|error| Error::from(error).into_exception(py))
    }

    /// What differs from another report of the same magic, row by row.
    fn diff(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> PyResult<Self> {
        let Ok(other) = other.cast::<Self>() else {
            let message = "diff compares with another report of the same magic, not with this";
            let kind = other.get_type().name()?;
            return Err(PyTypeError::new_err(format!("{message} {kind}")));
        };
        let diff = self.kept().whole().diff(&other.get().kept().whole());
        diff.map(Self::new)
            .map_err(|error| Error::from(error).into_exception(py))
    }

    /// Write the report to a file, from which `Report.load` makes it again.
    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        let text = self.kept().whole().to_stored();
        let text = text.map_err(|error| Error::from(error).into_exception(py))?;
        let written = py.detach(|| files::create(&path)?.write_all(text.as_bytes()));
        written.map_err(|error| with_path(&path, &error))
    }

    /// The report in a file that `save` wrote.
    #[staticmethod]
    fn load(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        let text = py.detach(|| files::head(&path, u64::MAX));
        let text = text.map_err(|error| with_path(&path, &error))?;
        let report = Report::from_stored(&String::from_utf8_lossy(&text));
        report
            .map(Self::new)
            .map_err(|reason| PyValueError::new_err(format!("{}: {reason}", path.display())))
    }

    /// Other processes get it as `save` would write it.
    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (String,))> {
        let text = self.kept().whole().to_stored();
        let text = text.map_err(|error| Error::from(error).into_plain_exception())?;
        let again = py.get_type::<Self>().getattr("_from_stored")?;
        Ok((again, (text,)))
    }

    #[staticmethod]
    fn _from_stored(text: &str) -> PyResult<Self> {
        let report = Report::from_stored(text);
        report.map(Self::new).map_err(PyValueError::new_err)
    }

    #[pyo3(signature = (include=None, exclude=None))]
    fn _repr_mimebundle_<'py>(
        &self,
        py: Python<'py>,
        include: Option<&Bound<'py, PyAny>>,
        exclude: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        // IPython narrows the bundle by itself; all views are cheap, since they are bounded.
        let _ = (include, exclude);
        let width = width(py);
        let views = view::Bundle::for_notebook(&self.kept().whole(), width);
        self.pack();
        let views = views.map_err(|error| Error::from(error).into_exception(py))?;
        let bundle = PyDict::new(py);
        bundle.set_item("text/plain", views.text)?;
        if let Some(html) = views.html {
            bundle.set_item("text/html", html)?;
        }
        if let Some(markdown) = views.markdown {
            bundle.set_item("text/markdown", markdown)?;
        }
        // Python's own parser makes thousands of rows faster than we could.
        let json = py
            .import("json")?
            .call_method1("loads", (views.json.get(),))?;
        bundle.set_item(views.kind, json)?;
        Ok(bundle)
    }
}

/// The error of a file with the file's name.
fn with_path(path: &Path, error: &io::Error) -> PyErr {
    io::Error::new(error.kind(), format!("{}: {error}", path.display())).into()
}

/// The width for text: the terminal's where there is one, but no more than reads well.
fn width(py: Python<'_>) -> usize {
    let columns = py
        .import("shutil")
        .and_then(|shutil| shutil.call_method0("get_terminal_size"))
        .and_then(|size| size.getattr("columns")?.extract::<usize>());
    columns.unwrap_or(80).clamp(60, 100)
}
