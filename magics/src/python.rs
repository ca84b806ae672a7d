//! What Python sees: two functions and the class `Report`.
//!
//! This is the boundary: errors become exceptions here, and a panic becomes one that asks to be reported.

use std::path::{Path, PathBuf};
use std::{fs, io};

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyIterator, PyList, PyNone, PyString};
use serde_json::Value;

use crate::report::{Facts, Report};
use crate::{
    ALL, Asked, Context, Error, Form, User, args, guarded, journal, native_delta, rust_cells,
    threads, view, why_import,
};

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let version = module.py().version_info();
    view::json::set_python(version.major, version.minor, version.patch);
    module.add_class::<PyReport>()?;
    module.add_function(wrap_pyfunction!(run_magic, module)?)?;
    module.add_function(wrap_pyfunction!(magic_list, module)?)?;
    module.add_function(wrap_pyfunction!(explain_import, module)?)?;
    module.add_function(wrap_pyfunction!(set_namespace, module)?)?;
    module.add_function(wrap_pyfunction!(begin_cell, module)?)?;
    module.add_function(wrap_pyfunction!(end_cell, module)?)?;
    module.add_function(wrap_pyfunction!(rust_cells::rust_complete, module)?)?;
    module.add_function(wrap_pyfunction!(rust_cells::rust_inspect, module)?)
}

/// The variables of the user, for questions that come without them.
static NAMESPACE: PyOnceLock<Py<PyDict>> = PyOnceLock::new();

/// Say which variables are the user's, for questions that no cell asks.
#[pyfunction]
fn set_namespace(user_ns: &Bound<'_, PyDict>) {
    NAMESPACE.get_or_init(user_ns.py(), || user_ns.clone().unbind());
}

/// The variables of the user; those of `__main__` where nobody said.
pub(crate) fn namespace(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    match NAMESPACE.get(py) {
        Some(namespace) => Ok(namespace.bind(py).clone()),
        None => Ok(py.import("__main__")?.dict()),
    }
}

/// Say that a cell begins: what is loaded and started from now on came with it.
#[pyfunction]
#[pyo3(signature = (number=None))]
fn begin_cell(py: Python<'_>, number: Option<u32>) -> PyResult<()> {
    threads::check_interpreter(py);
    journal::begin_cell(number);
    native_delta::begin(number, &namespace(py)?);
    Ok(())
}

/// Say that the cell has ended. What to show below it, by MIME type, if the user asked for it.
#[pyfunction]
fn end_cell(py: Python<'_>) -> PyResult<Option<Bound<'_, PyDict>>> {
    let changes = journal::end_cell();
    let delta = native_delta::end(&changes, &namespace(py)?);
    let shown = delta.and_then(native_delta::note);
    shown.map(|bundle| object(py, named(&bundle))).transpose()
}

/// Say why an import or the loading of a library failed, in a few lines; None for an exception of another kind.
#[pyfunction]
fn explain_import(
    py: Python<'_>,
    exception: &Bound<'_, pyo3::exceptions::PyBaseException>,
) -> PyResult<Option<String>> {
    let namespace = namespace(py)?;
    let user = User {
        py,
        namespace: &namespace,
    };
    why_import::note(user, exception).map_err(|error| error.into_exception(py))
}

/// Run a magic and return its report, or None if the line bound the rows to a name.
#[pyfunction]
#[pyo3(signature = (name, line, cell=None, user_ns=None))]
fn run_magic<'py>(
    py: Python<'py>,
    name: &str,
    line: &str,
    cell: Option<&str>,
    user_ns: Option<Bound<'py, PyDict>>,
) -> PyResult<Option<PyReport>> {
    let namespace = match user_ns {
        Some(namespace) => namespace,
        None => namespace(py)?,
    };
    let user = User {
        py,
        namespace: &namespace,
    };
    let context = Context {
        user: Some(user),
        cell,
    };
    guarded(name, line, &context)
        .and_then(|asked| deliver(name, asked, user))
        .map_err(|error| error.into_exception(py))
}

/// Hands a report to Python, or binds its rows to the name that the line gave.
fn deliver(name: &str, asked: Asked, user: User<'_, '_>) -> Result<Option<PyReport>, Error> {
    let is_quiet = asked.report.quiet && !asked.report.as_json;
    let report = PyReport::new(asked.report);
    match asked.bind {
        None if is_quiet => Ok(None),
        None => Ok(Some(report)),
        Some(variable) if is_name(user.py, &variable)? => {
            user.namespace.set_item(variable, report.list(user.py)?)?;
            Ok(None)
        }
        Some(other) => Err(Error::Usage(format!(
            "%{name}: --as needs the name of a variable, not {other:?}"
        ))),
    }
}

/// A module that Python has imported already. None is ever imported for a question, since that would change the answer.
pub(crate) fn imported<'py>(py: Python<'py>, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
    let modules = py
        .import("sys")?
        .getattr("modules")?
        .cast_into::<PyDict>()?;
    Ok(modules.get_item(name)?.filter(|module| !module.is_none()))
}

/// The references to an object, ours too.
pub(crate) fn references(object: &Bound<'_, PyAny>) -> isize {
    #[allow(unsafe_code, reason = "pyo3 does not show the count")]
    // SAFETY: the object is alive, and its count is only read.
    unsafe {
        pyo3::ffi::Py_REFCNT(object.as_ptr())
    }
}

/// A place in the user's code as `In[3]:2` or `file.py:2`, and whether it is in a cell.
pub(crate) fn place(py: Python<'_>, file: &str, line: u32) -> PyResult<(String, bool)> {
    Ok(match cell_of(py, file)? {
        Some(number) => (format!("In[{number}]:{line}"), true),
        None => (format!("{file}:{line}"), false),
    })
}

/// The number of the cell whose code has this file name, if IPython runs cells here.
fn cell_of(py: Python<'_>, file: &str) -> PyResult<Option<u32>> {
    let Some(shell) = shell(py)? else {
        return Ok(None);
    };
    let names = shell.getattr("compile")?.getattr("_filename_map")?;
    names.call_method1("get", (file,))?.extract()
}

/// IPython's shell, where there is one.
pub(crate) fn shell(py: Python<'_>) -> PyResult<Option<Bound<'_, PyAny>>> {
    let Some(ipython) = imported(py, "IPython")? else {
        return Ok(None);
    };
    let shell = ipython.call_method0("get_ipython")?;
    Ok(Some(shell).filter(|shell| !shell.is_none()))
}

fn is_name(py: Python<'_>, word: &str) -> PyResult<bool> {
    let identifier: bool = PyString::new(py, word)
        .call_method0("isidentifier")?
        .extract()?;
    let keyword: bool = py
        .import("keyword")?
        .call_method1("iskeyword", (word,))?
        .extract()?;
    Ok(identifier && !keyword)
}

/// List all magics as (name, "line" or "cell", help).
#[pyfunction]
fn magic_list() -> Vec<(&'static str, &'static str, String)> {
    ALL.iter()
        .map(|magic| {
            (
                magic.name,
                match magic.form {
                    Form::Line => "line",
                    Form::Cell => "cell",
                },
                args::help(&magic.form.write(magic.name), (magic.command)()),
            )
        })
        .collect()
}

/// What a magic found: a sequence of rows (dicts), with diagnoses, in text, HTML and JSON.
#[pyclass(name = "Report", module = "diaphane", frozen)]
struct PyReport {
    report: Report,
    /// Made when somebody asks for them: showing a report needs none.
    rows: PyOnceLock<Py<PyList>>,
}

impl PyReport {
    fn new(report: Report) -> Self {
        Self {
            report,
            rows: PyOnceLock::new(),
        }
    }

    fn list<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, PyList>> {
        let make = || {
            let rows = self.report.rows.iter().map(|row| object(py, row.iter()));
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
        self.report.name
    }

    /// The rows, a list of dicts.
    #[getter]
    fn rows<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        Ok(self.list(py)?.clone())
    }

    /// What is remarkable: dicts with code, severity, title, evidence and fix.
    #[getter]
    fn diagnoses<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        python(py, &view::json::diagnoses(&self.report))
    }

    /// What holds for all rows, such as totals.
    #[getter]
    fn facts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        object(py, named(&self.report.facts))
    }

    /// What could not be asked here, and why.
    #[getter]
    fn limits(&self) -> Vec<String> {
        self.report.limits.clone()
    }

    fn __len__(&self) -> usize {
        self.report.rows.len()
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
        view::plain(&self.report, width(py))
    }

    /// The whole report as JSON text.
    fn to_json(&self) -> String {
        view::whole(&self.report)
    }

    /// The whole report as an HTML fragment.
    fn to_html(&self) -> String {
        view::html::report(&self.report)
    }

    /// The rows in which some field matches a regular expression, in any case; in a tree also those above them.
    fn filter(&self, py: Python<'_>, pattern: &str) -> PyResult<Self> {
        let kept = self.report.filtered(pattern);
        kept.map(Self::new)
            .map_err(|error| error.into_exception(py))
    }

    /// What differs from another report of the same magic, row by row.
    fn diff(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> PyResult<Self> {
        let Ok(other) = other.cast::<Self>() else {
            let message = "diff compares with another report of the same magic, not with this";
            let kind = other.get_type().name()?;
            return Err(PyTypeError::new_err(format!("{message} {kind}")));
        };
        let diff = self.report.diff(&other.get().report);
        diff.map(Self::new)
            .map_err(|error| error.into_exception(py))
    }

    /// Write the report to a file, from which `Report.load` makes it again.
    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        let text = self.report.to_stored();
        let text = text.map_err(|error| error.into_exception(py))?;
        fs::write(&path, text).map_err(|error| with_path(&path, &error))
    }

    /// The report in a file that `save` wrote.
    #[staticmethod]
    fn load(path: PathBuf) -> PyResult<Self> {
        let text = fs::read(&path).map_err(|error| with_path(&path, &error))?;
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
        // IPython narrows the bundle by itself; all views are cheap.
        let _ = (include, exclude);
        let views = view::Bundle::of(&self.report, width(py));
        let views = views.map_err(|error| error.into_exception(py))?;
        let bundle = PyDict::new(py);
        bundle.set_item("text/plain", views.text)?;
        if let Some(html) = views.html {
            bundle.set_item("text/html", html)?;
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

/// A value of JSON as a Python object.
fn python<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Value::Null => PyNone::get(py).to_owned().into_any(),
        Value::Bool(value) => value.into_pyobject(py)?.to_owned().into_any(),
        Value::Number(value) => match (value.as_u64(), value.as_i64()) {
            (Some(value), _) => value.into_pyobject(py)?.into_any(),
            (None, Some(value)) => value.into_pyobject(py)?.into_any(),
            (None, None) => value.as_f64().into_pyobject(py)?,
        },
        Value::String(value) => PyString::new(py, value).into_any(),
        Value::Array(values) => {
            let items = values
                .iter()
                .map(|value| python(py, value))
                .collect::<PyResult<Vec<_>>>()?;
            PyList::new(py, items)?.into_any()
        }
        Value::Object(fields) => object(py, named(fields))?.into_any(),
    })
}

fn named(fields: &Facts) -> impl Iterator<Item = (&str, &Value)> {
    fields.iter().map(|(name, value)| (name.as_str(), value))
}

fn object<'a, 'py>(
    py: Python<'py>,
    fields: impl Iterator<Item = (&'a str, &'a Value)>,
) -> PyResult<Bound<'py, PyDict>> {
    let object = PyDict::new(py);
    for (key, value) in fields {
        object.set_item(key, python(py, value)?)?;
    }
    Ok(object)
}
