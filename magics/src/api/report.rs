//! The class `Report`: what a magic found, as Python sees it.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use diaphane_sight::files;
use diaphane_sight::runtimes::malloc;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyIterator, PyList};

use crate::error::Error;
use crate::python::objects::{named, object, python};
use diaphane_report::{PackedReport, Report, view};

/// A report with more rows than these took some megabytes while it was made.
const LARGE: usize = 1000;

/// What a magic found: a sequence of rows (dicts), with diagnoses, in text, HTML and JSON.
#[pyclass(name = "Report", module = "diaphane", frozen)]
pub(crate) struct PyReport {
    /// It may stay for as long as the session, in `Out`.
    report: PackedReport,
    /// Made when somebody asks for them: showing a report needs none.
    rows: PyOnceLock<Py<PyList>>,
}

impl PyReport {
    pub(crate) fn new(report: Report) -> Self {
        let is_large = report.rows.len() > LARGE;
        let report = PackedReport::of(report);
        if is_large {
            // What it took to make it and to pack it is free now, and would stay with this process.
            malloc::give_back();
        }
        Self {
            report,
            rows: PyOnceLock::new(),
        }
    }

    fn list<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, PyList>> {
        let make = || {
            let rows = self.report.rows().rows();
            let rows = rows.iter().map(|row| object(py, row.iter()));
            let rows = rows.collect::<PyResult<Vec<_>>>()?;
            Ok::<_, PyErr>(PyList::new(py, rows)?.unbind())
        };
        Ok(self.rows.get_or_try_init(py, make)?.bind(py))
    }
}

#[pymethods]
impl PyReport {
    /// The name of the magic.
    #[getter]
    fn name(&self) -> &'static str {
        self.report.head().name
    }

    /// The rows, a list of dicts.
    #[getter]
    fn rows<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        Ok(self.list(py)?.clone())
    }

    /// What is remarkable: dicts with code, severity, title, evidence and fix.
    #[getter]
    fn diagnoses<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        python(py, &view::json::diagnoses(self.report.head()))
    }

    /// What holds for all rows, such as totals.
    #[getter]
    fn facts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        object(py, named(&self.report.head().facts))
    }

    /// What could not be asked here, and why.
    #[getter]
    fn limits(&self) -> Vec<String> {
        self.report.head().limits.clone()
    }

    fn __len__(&self) -> usize {
        self.report.rows().len()
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
        view::plain(&self.report.unpacked(), width(py))
    }

    /// The whole report as JSON text.
    fn to_json(&self) -> String {
        view::whole(&self.report.unpacked())
    }

    /// The whole report as an HTML fragment.
    fn to_html(&self) -> String {
        view::html::report(&self.report.unpacked())
    }

    /// The rows in which some field matches a regular expression, in any case; in a tree also those above them.
    fn filter(&self, py: Python<'_>, pattern: &str) -> PyResult<Self> {
        let kept = self.report.unpacked().filtered(pattern);
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
        let diff = self.report.unpacked().diff(&other.get().report.unpacked());
        diff.map(Self::new)
            .map_err(|error| Error::from(error).into_exception(py))
    }

    /// Write the report to a file, from which `Report.load` makes it again.
    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        let text = self.report.unpacked().to_stored();
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

    #[pyo3(signature = (include=None, exclude=None))]
    fn _repr_mimebundle_<'py>(
        &self,
        py: Python<'py>,
        include: Option<&Bound<'py, PyAny>>,
        exclude: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        // IPython narrows the bundle by itself; all views are cheap, since they are bounded.
        let _ = (include, exclude);
        let views = view::Bundle::for_notebook(&self.report.unpacked(), width(py));
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
