//! Where NumPy's Python functions and methods lead: which reduction or table entry does the work.
//!
//! NumPy's documentation fixes these few; for any other Python function nothing is claimed.

use pyo3::prelude::*;

use super::Trail;
use crate::numpy::step::Step;
use crate::numpy::ufunc;
use crate::numpy::ufunc::Use;
use crate::python::objects::text;
use diaphane_cpython::modules::imported;

/// What does the work of a function.
enum Lead {
    /// A method of a ufunc.
    Ufunc(&'static str, &'static str, Use),
    /// An entry of the table of functions that each dtype has.
    Table(&'static str),
}

fn lead(name: &str) -> Option<Lead> {
    let reduce = |ufunc| Some(Lead::Ufunc(ufunc, "reduce", Use::Reduction));
    let accumulate = |ufunc| Some(Lead::Ufunc(ufunc, "accumulate", Use::Reduction));
    match name {
        "sum" | "mean" => reduce("add"),
        "prod" => reduce("multiply"),
        "max" | "amax" => reduce("maximum"),
        "min" | "amin" => reduce("minimum"),
        "any" => reduce("logical_or"),
        "all" => reduce("logical_and"),
        "cumsum" => accumulate("add"),
        "cumprod" => accumulate("multiply"),
        "argmax" => Some(Lead::Table("argmax")),
        "argmin" => Some(Lead::Table("argmin")),
        "sort" => Some(Lead::Table("sort")),
        "argsort" => Some(Lead::Table("argsort")),
        _ => None,
    }
}

/// Behind a Python function, if it is one of NumPy's.
pub(super) fn after_python(
    function: &Bound<'_, PyAny>,
    dtype: Option<&str>,
    trail: &mut Trail,
) -> PyResult<()> {
    let module: Option<String> = function.getattr("__module__")?.extract().ok();
    let name = text(&function.getattr("__name__")?)?;
    let is_numpy = matches!(
        module.as_deref(),
        Some("numpy" | "numpy._core.fromnumeric" | "numpy.core.fromnumeric")
    );
    // Anyone can call a function so: it must be the one that NumPy has under this name.
    let py = function.py();
    let own = imported(py, "numpy")?.and_then(|numpy| numpy.getattr(name.as_str()).ok());
    let own = own.map(|own| own.getattr("_implementation").unwrap_or(own));
    let genuine = is_numpy && own.is_some_and(|own| own.is(function));
    match lead(&name).filter(|_| genuine) {
        Some(lead) => follow(py, &lead, dtype, trail),
        None => {
            trail.limits.push(format!(
                "{name} is Python code; dis.dis shows what it calls"
            ));
            Ok(())
        }
    }
}

/// Behind a method of a ufunc, such as `np.add.reduce`.
pub(super) fn after_builtin(
    object: &Bound<'_, PyAny>,
    dtype: Option<&str>,
    trail: &mut Trail,
) -> PyResult<()> {
    let owner = object.getattr("__self__")?;
    let name = text(&object.getattr("__name__")?)?;
    let purpose = match name.as_str() {
        "reduce" | "accumulate" | "reduceat" => Use::Reduction,
        "outer" => Use::Call,
        _ => return bound_method(&owner, &name, dtype, trail),
    };
    if let Some(loops) = ufunc::loops_for(&owner, dtype, purpose)? {
        trail
            .steps
            .extend(loops.into_iter().map(|one| one.step(&name)));
    }
    Ok(())
}

/// Behind a method of an array, such as `a.sum`, whose own dtype counts where none was given.
fn bound_method(
    owner: &Bound<'_, PyAny>,
    name: &str,
    dtype: Option<&str>,
    trail: &mut Trail,
) -> PyResult<()> {
    let Some(array) = crate::numpy::arrays::read(owner)? else {
        return Ok(());
    };
    let own: String = array.dtype.getattr("str")?.extract()?;
    match lead(name) {
        Some(lead) => follow(owner.py(), &lead, dtype.or(Some(&own)), trail),
        None => Ok(()),
    }
}

/// Behind a method of the class of arrays, such as `np.ndarray.sum`.
pub(super) fn after_method(
    object: &Bound<'_, PyAny>,
    dtype: Option<&str>,
    trail: &mut Trail,
) -> PyResult<()> {
    let py = object.py();
    let Some(numpy) = imported(py, "numpy")? else {
        return Ok(());
    };
    let name = text(&object.getattr("__name__")?)?;
    let of_arrays = object
        .getattr("__objclass__")?
        .is(&numpy.getattr("ndarray")?);
    match lead(&name).filter(|_| of_arrays) {
        Some(lead) => follow(py, &lead, dtype, trail),
        None => Ok(()),
    }
}

fn follow(py: Python<'_>, lead: &Lead, dtype: Option<&str>, trail: &mut Trail) -> PyResult<()> {
    let Some(numpy) = imported(py, "numpy")? else {
        return Ok(());
    };
    match lead {
        Lead::Ufunc(ufunc, method, purpose) => {
            let object = numpy.getattr(*ufunc)?;
            let name = format!("np.{ufunc}.{method}");
            let code = super::fields::builtin(&object.getattr(*method)?).map(|method| method.code);
            trail.steps.push(Step {
                role: "C function".into(),
                object: name.clone(),
                code,
                ..Step::default()
            });
            let loops = ufunc::loops_for(&object, dtype, *purpose)?.unwrap_or_default();
            trail
                .steps
                .extend(loops.into_iter().map(|one| one.step(&name)));
        }
        Lead::Table(entry) => {
            let dtype = ufunc::dtype(&numpy, dtype.unwrap_or(ufunc::DEFAULT))?;
            let code = crate::numpy::dtype_functions::entry(&dtype, entry)?;
            let types = Some(dtype.getattr("char")?.extract()?);
            let dtypes = Some(ufunc::dtype_name(&dtype)?);
            trail.steps.push(Step {
                role: super::TABLE.into(),
                object: (*entry).into(),
                code,
                types,
                dtypes,
                ..Step::default()
            });
        }
    }
    Ok(())
}
