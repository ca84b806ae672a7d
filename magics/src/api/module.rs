//! What Python sees: the functions of the module. Errors become exceptions here.

use parking_lot::Mutex;

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::api::grammar;
use crate::api::merge::PyMerger;
use crate::api::recording::PyRecording;
use crate::api::report::PyReport;
use crate::api::thread_stack;
use crate::cli;
use crate::cli::Line;
use crate::error::Error;
use crate::libraries::names::{file_name, short};
use crate::magic::{Context, User};
use crate::magics::{native_delta, rust, why_import};
use crate::python::host;
use crate::python::ipython::{keep_namespace, namespace};
use crate::python::objects::{is_name, named, object, python};
use crate::registry::{self, ALL, Asked, guarded};
use crate::rust_cells::client;
use crate::session::lane::CellScope;
use crate::session::{cell_files, door, import_audit};
use diaphane_cpython::check;
use diaphane_report::view;
use diaphane_sight::linker::libraries;
use diaphane_sight::proc::descriptors;

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let version = module.py().version_info();
    let version = format!("{}.{}.{}", version.major, version.minor, version.patch);
    descriptors::keep_some();
    let python = module.py().import("sys")?.getattr("executable")?;
    // An embedding program need not say which Python it is.
    if let Ok(python) = python.extract() {
        client::look_beside(python);
    }
    view::json::set_host(host::described(Some(&version)));
    module.add_class::<PyReport>()?;
    module.add_class::<PyRecording>()?;
    module.add_class::<PyMerger>()?;
    module.add_class::<PyCellScope>()?;
    module.add_function(wrap_pyfunction!(run_magic, module)?)?;
    module.add_function(wrap_pyfunction!(ask_magic, module)?)?;
    module.add_function(wrap_pyfunction!(magic_grammar, module)?)?;
    module.add_function(wrap_pyfunction!(magic_list, module)?)?;
    module.add_function(wrap_pyfunction!(magic_help, module)?)?;
    module.add_function(wrap_pyfunction!(silences, module)?)?;
    module.add_function(wrap_pyfunction!(takes_statement, module)?)?;
    module.add_function(wrap_pyfunction!(complete_line, module)?)?;
    module.add_function(wrap_pyfunction!(explain_import, module)?)?;
    module.add_function(wrap_pyfunction!(set_namespace, module)?)?;
    module.add_function(wrap_pyfunction!(note_imports, module)?)?;
    module.add_function(wrap_pyfunction!(set_guest, module)?)?;
    module.add_function(wrap_pyfunction!(thread_stack::thread_stack, module)?)?;
    module.add_function(wrap_pyfunction!(name_cell, module)?)?;
    module.add_function(wrap_pyfunction!(rust::rust_complete, module)?)?;
    module.add_function(wrap_pyfunction!(rust::rust_inspect, module)?)
}

/// Note from now on who asks for which library: an audit hook, which Python never takes away again.
#[pyfunction]
fn note_imports(py: Python<'_>) {
    import_audit::listen(py);
}

/// Say which variables are the user's, for questions that no cell asks.
#[pyfunction]
fn set_namespace(user_ns: &Bound<'_, PyDict>) {
    keep_namespace(user_ns);
}

/// Say whether the kernel here is somebody else's: reports then say what is missing.
#[pyfunction]
fn set_guest(is_guest: bool) {
    door::set_guest(is_guest);
}

/// Say under which file name the code of a cell is compiled, for questions that are asked without Python.
#[pyfunction]
fn name_cell(file: &str, number: u32) {
    cell_files::note(file, number);
}

/// A cell that runs: what is loaded and started from now on came with it, until it is closed.
///
/// It is made and closed on the thread that runs the cell. Where several run at once, each has its own.
#[pyclass(frozen, name = "CellScope")]
struct PyCellScope(Mutex<Option<CellScope>>);

#[pymethods]
impl PyCellScope {
    #[new]
    #[pyo3(signature = (number=None))]
    fn open(py: Python<'_>, number: Option<u32>) -> PyResult<Self> {
        check(py);
        let scope = CellScope::open(number, &namespace(py)?);
        Ok(Self(Mutex::new(Some(scope))))
    }

    /// Say that the cell has ended. What the user wants to see of what it changed: below it, by MIME type, and in the
    /// metadata of its reply, as JSON.
    fn close<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Option<Bound<'py, PyDict>>, Option<String>)> {
        let open = self.0.lock().take();
        let Some(scope) = open else {
            return Ok((None, None));
        };
        let cell = scope.cell();
        let Some(delta) = scope.close(&namespace(py)?) else {
            return Ok((None, None));
        };
        let (line, change) = native_delta::note(cell, &delta);
        let line = line.map(|bundle| object(py, named(&bundle))).transpose()?;
        Ok((line, change))
    }
}

/// Say why an import or the loading of a library failed, in a few lines; None for an exception of another kind.
#[pyfunction]
fn explain_import(
    py: Python<'_>,
    exception: &Bound<'_, pyo3::exceptions::PyBaseException>,
) -> PyResult<Option<String>> {
    let namespace = namespace(py)?;
    let user = User::new(py, &namespace);
    why_import::note(user, exception).map_err(|error| error.into_exception(py))
}

/// Run a magic and return its report, or None if the line bound it to a name.
#[pyfunction]
#[pyo3(signature = (name, line, cell=None, user_ns=None, local_ns=None))]
fn run_magic<'py>(
    py: Python<'py>,
    name: &str,
    line: &str,
    cell: Option<&str>,
    user_ns: Option<Bound<'py, PyDict>>,
    local_ns: Option<Bound<'py, PyDict>>,
) -> PyResult<Option<PyReport>> {
    let namespace = match user_ns {
        Some(namespace) => namespace,
        None => namespace(py)?,
    };
    let user = User {
        py,
        namespace: &namespace,
        locals: local_ns.as_ref(),
    };
    let context = Context {
        user: Some(user),
        cell,
        ask: registry::ask,
        begin: registry::begin,
        all: registry::questions,
    };
    guarded(name, Line::Text(line), &context)
        .and_then(|asked| deliver(name, asked, user))
        .map_err(|error| error.into_exception(py))
}

/// Ask a magic as a function is asked: with its words, and the variables of who calls it. Its report.
#[pyfunction]
#[pyo3(signature = (name, words, cell, user_ns, local_ns=None))]
fn ask_magic(
    name: &str,
    words: Vec<String>,
    cell: Option<&str>,
    user_ns: &Bound<'_, PyDict>,
    local_ns: Option<Bound<'_, PyDict>>,
) -> PyResult<PyReport> {
    check(user_ns.py());
    let context = Context {
        user: Some(User {
            py: user_ns.py(),
            namespace: user_ns,
            locals: local_ns.as_ref(),
        }),
        cell,
        ask: registry::ask,
        begin: registry::begin,
        all: registry::questions,
    };
    guarded(name, Line::Words(&words), &context)
        .map(|asked| PyReport::new(asked.report))
        .map_err(Error::into_plain_exception)
}

/// What each magic understands, for those who make functions of them.
#[pyfunction]
fn magic_grammar(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    python(py, &grammar::grammar())
}

/// Hands a report to Python, or binds it to the name that the line gave.
fn deliver(name: &str, asked: Asked, user: User<'_, '_>) -> Result<Option<PyReport>, Error> {
    let is_quiet = asked.report.quiet && !asked.report.as_json;
    let report = PyReport::new(asked.report);
    match asked.bind {
        None if is_quiet => Ok(None),
        None => Ok(Some(report)),
        Some(variable) if is_name(user.py, &variable)? => {
            user.namespace.set_item(variable, report)?;
            Ok(None)
        }
        Some(other) => Err(Error::Usage(format!(
            "%{name}: --as needs the name of a variable, not {other:?}"
        ))),
    }
}

/// List all magics as (name, "line" or "cell", what it says about itself).
#[pyfunction]
fn magic_list() -> Vec<(&'static str, &'static str, String)> {
    let mut list = Vec::new();
    for magic in ALL {
        let about = cli::about(&(magic.command)());
        let kinds = magic.form.kinds().iter();
        list.extend(kinds.map(|kind| (magic.name, *kind, about.clone())));
    }
    list
}

/// The text behind `%name?`; None if there is no such magic. To write it for all takes as long as some modules' imports.
#[pyfunction]
fn magic_help(name: &str) -> Option<String> {
    let magic = ALL.iter().find(|magic| magic.name == name)?;
    let written = magic.form.write(magic.name);
    Some(cli::help(&written, (magic.command)(), magic.schema))
}

/// Whether a statement stands on the line of a magic, which is Python's and stays as it is.
#[pyfunction]
fn takes_statement(name: &str) -> bool {
    let magic = ALL.iter().find(|magic| magic.name == name);
    magic.is_some_and(|magic| magic.takes_statement)
}

/// What may stand at the end of the line of a magic, up to the cursor: where the last word begins, texts, and the kind of
/// value that only Python knows the texts of. None if there is no such magic.
#[pyfunction]
fn complete_line(name: &str, line: &str) -> Option<(usize, Vec<String>, Option<String>)> {
    let magic = ALL.iter().find(|magic| magic.name == name)?;
    let found = cli::complete(line, &(magic.command)(), magic.schema);
    let mut texts = found.texts;
    if let Some("LIB" | "REGEX") = found.value.as_deref() {
        let typed: String = line.chars().skip(found.start).collect();
        let libraries = libraries::now().unwrap_or_default();
        let names = libraries
            .iter()
            .map(|library| short(file_name(&library.name)));
        let names = names.filter(|name| !name.is_empty() && name.contains(typed.as_str()));
        texts.splice(..0, names.map(str::to_owned));
    }
    Some((found.start, texts, found.value))
}

/// Whether the line of a magic ends with `;`, so that its report is not shown.
#[pyfunction]
fn silences(name: &str, line: &str) -> bool {
    let magic = ALL.iter().find(|magic| magic.name == name);
    magic.is_some_and(|magic| cli::is_silent(line, &(magic.command)()))
}
