//! Functions of a cell that Python calls, as it calls those of an extension module.

use std::sync::Arc;

use diaphane_rust_protocol::{Compile, Function};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use diaphane_sight::code::symbols::{Symbol, Table};
use diaphane_sight::elf::demangle::demangle;
use diaphane_sight::linker::libraries;

use super::failure::ErrorLocation;
use super::library::{CellImage, LoadedCell};
use super::run::{self, Isolation};
use crate::error::Error;
use crate::magic::User;
use crate::rust_cells::export::Exports;

// A function in Rust. Other threads of Python run while it does. (With `///` the class would have the only `__doc__`.)
#[pyclass(name = "RustFunction", module = "diaphane", frozen)]
struct RustFunction {
    about: Function,
    /// Its place among the functions of the library.
    number: usize,
    isolation: Isolation,
    loaded: Arc<LoadedCell>,
    source: String,
    lines_above: u32,
}

/// Gives the functions of a cell their names in Python.
pub fn bind(
    loaded: &Arc<LoadedCell>,
    isolation: Isolation,
    asked: &Compile,
    user: User<'_, '_>,
) -> Result<(), Error> {
    for (number, about) in loaded.compiled.functions.iter().enumerate() {
        let function = RustFunction {
            about: about.clone(),
            number,
            isolation,
            loaded: Arc::clone(loaded),
            source: asked.source.clone(),
            lines_above: asked.lines_above,
        };
        user.namespace
            .set_item(&about.name, Bound::new(user.py, function)?)?;
    }
    Ok(())
}

#[pymethods]
impl RustFunction {
    #[pyo3(signature = (*args, **kwargs))]
    fn __call__<'py>(
        &self,
        py: Python<'py>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let given = self.arrange(args, kwargs)?;
        self.call(py, &given)
            .map_err(|error| error.into_exception(py))
    }

    #[getter]
    fn __name__(&self) -> &str {
        &self.about.name
    }

    #[getter]
    fn __doc__(&self) -> &str {
        &self.about.doc
    }

    /// The parameters with the types that they have in Rust.
    #[getter]
    fn __signature__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let inspect = py.import("inspect")?;
        let class = inspect.getattr("Parameter")?;
        let kind = class.getattr("POSITIONAL_OR_KEYWORD")?;
        let parameters = self.about.parameters.iter().map(|one| {
            let known = PyDict::new(py);
            known.set_item(
                "annotation",
                crate::rust_cells::export::described(&one.rust, one.form),
            )?;
            class.call((&one.name, &kind), Some(&known))
        });
        let parameters = parameters.collect::<PyResult<Vec<_>>>()?;
        let known = PyDict::new(py);
        known.set_item("return_annotation", &self.about.gives)?;
        inspect
            .getattr("Signature")?
            .call((parameters,), Some(&known))
    }

    fn __repr__(&self) -> String {
        let names: Vec<_> = self
            .about
            .parameters
            .iter()
            .map(|one| one.name.as_str())
            .collect();
        format!(
            "<Rust function {}({}) of In[{}]>",
            self.about.name,
            names.join(", "),
            self.loaded.cell
        )
    }
}

impl RustFunction {
    /// The values in the order of the parameters.
    fn arrange<'py>(
        &self,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let parameters = &self.about.parameters;
        let named = kwargs.map_or(0, PyDictMethods::len);
        let mut given: Vec<_> = args.iter().collect();
        for one in parameters.iter().skip(given.len()) {
            let value = kwargs
                .map(|kwargs| kwargs.get_item(&one.name))
                .transpose()?;
            let value = value.flatten().ok_or_else(|| {
                PyTypeError::new_err(format!(
                    "{}() lacks its argument {}",
                    self.about.name, one.name
                ))
            })?;
            given.push(value);
        }
        if args.len() + named != parameters.len() {
            return Err(PyTypeError::new_err(format!(
                "{}() takes {} arguments, and {} were given",
                self.about.name,
                parameters.len(),
                args.len() + named
            )));
        }
        Ok(given)
    }

    fn call<'py>(
        &self,
        py: Python<'py>,
        given: &[Bound<'py, PyAny>],
    ) -> Result<Bound<'py, PyAny>, Error> {
        let exports = Exports::for_call(&self.about.parameters, given)?;
        let find = |image: &CellImage| image.functions[self.number];
        let done = run::run(&self.loaded, self.isolation, find, &exports, py)?;
        drop(exports);
        let spot = ErrorLocation {
            lines: &self.loaded.compiled.lines,
            compiled: self.loaded.cell,
            runs: self.loaded.cell,
            source: &self.source,
            lines_above: self.lines_above,
        };
        let taken = run::outcome(done, &spot, py)?;
        py.check_signals()?;
        match taken.results.into_iter().next() {
            Some((_, result)) => result.into_python(py),
            None => Ok(py.None().into_bound(py)),
        }
    }
}

/// The functions behind one of Python's that a cell has made: its entry, and the user's own, if the compiler has not built
/// it into that.
pub(crate) fn behind(object: &Bound<'_, PyAny>) -> Option<Vec<(&'static str, usize)>> {
    let function = object.cast::<RustFunction>().ok()?.get();
    let entry = function
        .loaded
        .image
        .functions
        .get(function.number)
        .copied()? as usize;
    let mut found = vec![("entry of the Rust cell", entry)];
    found.extend(own(entry, &function.about).map(|own| ("Rust function", own)));
    Some(found)
}

/// Where the user's function is. Where the compiler has built it into the body of its entry, that has its name.
fn own(entry: usize, about: &Function) -> Option<usize> {
    let libraries = libraries::now().ok()?;
    let library = libraries.iter().find(|one| one.span.contains(entry))?;
    let table = Table::of(library);
    let is_named = |symbol: &Symbol| demangle(&symbol.name) == about.name;
    let named = table.named(library.image.bias());
    let found = named.symbols().filter(is_named);
    found
        .max_by_key(|symbol| symbol.size)
        .map(|symbol| symbol.start)
}
