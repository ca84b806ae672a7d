//! From a Python object to the C functions behind it, step by step.
//!
//! Each step is known from a field of the object's C structure, or from NumPy's own tables; where only Python code is
//! left, its file and line are told.

mod fields;
mod leads;

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyCapsule, PyFunction, PyType};

use crate::numpy::step::Step;
use crate::numpy::ufunc;
use crate::python::objects::{text, type_name};
use crate::rust_cells::function::behind;
use diaphane_cpython::modules::imported;

/// What was found behind an object.
#[derive(Debug, Default)]
pub(crate) struct Trail {
    /// The steps, the outermost first.
    pub steps: Vec<Step>,
    /// What could not be followed.
    pub limits: Vec<String>,
}

/// The role of a function that a dtype has in its table.
pub(crate) const TABLE: &str = "dtype's function";

/// Wrappers around wrappers are followed so far; a longer chain is a loop.
const LONGEST: usize = 16;

/// Follows an object. A dtype chooses among the loops of NumPy's functions.
pub(crate) fn follow(
    name: &str,
    object: &Bound<'_, PyAny>,
    dtype: Option<&str>,
) -> PyResult<Trail> {
    let mut trail = Trail::default();
    let mut at = (name.to_owned(), object.clone());
    for _ in 0..LONGEST {
        match step(&at.0, &at.1, dtype, &mut trail)? {
            Some(next) => at = next,
            None => break,
        }
    }
    Ok(trail)
}

/// Follows a function of a Rust cell, if it is one.
fn rust(name: &str, object: &Bound<'_, PyAny>, trail: &mut Trail) -> bool {
    let functions = behind(object);
    let step = |(role, code): (&str, usize)| Step {
        role: role.into(),
        object: name.into(),
        code: Some(code),
        ..Step::default()
    };
    let is_one = functions.is_some();
    trail
        .steps
        .extend(functions.into_iter().flatten().map(step));
    is_one
}

type Next<'py> = Option<(String, Bound<'py, PyAny>)>;

/// Takes one step and tells what stands behind it.
fn step<'py>(
    name: &str,
    object: &Bound<'py, PyAny>,
    dtype: Option<&str>,
    trail: &mut Trail,
) -> PyResult<Next<'py>> {
    if rust(name, object, trail) {
        return Ok(None);
    }
    let mut add = |role: &str, code: Option<usize>| {
        trail.steps.push(Step {
            role: role.into(),
            object: name.into(),
            code,
            ..Step::default()
        })
    };
    let py = object.py();
    if let Some(loops) = ufunc::loops(object, dtype)? {
        add("ufunc", fields::call(object));
        trail
            .steps
            .extend(loops.into_iter().map(|one| one.step(name)));
        return Ok(None);
    }
    if let Ok(function) = object.cast::<PyFunction>() {
        python(name, function.as_any(), trail)?;
        return leads::after_python(function.as_any(), dtype, trail).map(|()| None);
    }
    if type_name(object) == "method" && fields::is_of_static_type(object) {
        return Ok(Some((
            format!("{name}.__func__"),
            object.getattr("__func__")?,
        )));
    }
    if object.is_instance_of::<PyCFunction>() {
        add(
            "C function",
            fields::builtin(object).map(|method| method.code),
        );
        return leads::after_builtin(object, dtype, trail).map(|()| None);
    }
    if is_exactly(object, &raw const ffi::PyMethodDescr_Type)
        || is_exactly(object, &raw const ffi::PyClassMethodDescr_Type)
    {
        add(
            "C method",
            fields::descriptor(object).map(|method| method.code),
        );
        return leads::after_method(object, dtype, trail).map(|()| None);
    }
    if is_exactly(object, &raw const ffi::PyMemberDescr_Type) {
        let limit = format!("{name} is a field of a C structure; no function is called for it");
        trail.limits.push(limit);
    } else if let Some(functions) = direct(object) {
        functions
            .into_iter()
            .for_each(|(role, code)| add(role, Some(code)));
    } else if let Some(code) = foreign(py, object)? {
        add("foreign function", Some(code));
    } else {
        return wrapper(name, object, trail);
    }
    Ok(None)
}

/// The functions that a field of the object, or of a table it points to, holds.
fn direct(object: &Bound<'_, PyAny>) -> Option<Vec<(&'static str, usize)>> {
    let one = |role, code: Option<usize>| code.map(|code| (role, code)).into_iter().collect();
    Some(if is_exactly(object, &raw const ffi::PyWrapperDescr_Type) {
        one("type slot", fields::wrapped(object))
    } else if type_name(object) == "method-wrapper" && fields::is_of_static_type(object) {
        one("type slot", fields::wrapper_of_bound(object))
    } else if is_exactly(object, &raw const ffi::PyGetSetDescr_Type) {
        let functions = ["getter", "setter"]
            .into_iter()
            .zip(fields::accessors(object));
        functions
            .filter_map(|(role, code)| Some((role, code?)))
            .collect()
    } else if object.is_instance_of::<PyCapsule>() {
        one("capsule", fields::capsule(object))
    } else if object.is_instance_of::<PyType>() {
        let slots = fields::SLOTS.iter();
        slots
            .filter_map(|(role, offset)| Some((*role, fields::slot(object, *offset)?)))
            .collect()
    } else if is_cython(object) {
        one(
            "Cython function",
            fields::builtin(object).map(|method| method.code),
        )
    } else {
        return None;
    })
}

/// Objects that hold another callable: what they hold. Others are called through their type.
fn wrapper<'py>(name: &str, object: &Bound<'py, PyAny>, trail: &mut Trail) -> PyResult<Next<'py>> {
    let kind = object.get_type();
    let call = kind.getattr_opt("__call__")?;
    let code = fields::call(object);
    let held = match type_name(object).as_str() {
        "partial" => Some("func"),
        "_ArrayFunctionDispatcher" => Some("_implementation"),
        "fortran" => Some("_cpointer"),
        "staticmethod" | "classmethod" => Some("__func__"),
        _ => None,
    };
    let role = format!("{} object", type_name(object));
    trail.steps.push(Step {
        role,
        object: name.into(),
        code,
        ..Step::default()
    });
    if let Some(attribute) = held
        && let Some(inner) = object.getattr_opt(attribute)?
    {
        return Ok(Some((format!("{name}.{attribute}"), inner)));
    }
    match call {
        // A class of Python's has a method instead of a slot of its own.
        Some(call) if call.is_instance_of::<PyFunction>() => {
            Ok(Some((format!("{name}.__call__"), call)))
        }
        Some(_) => Ok(None),
        None => {
            trail
                .limits
                .push(format!("{name} is not callable: {}", type_name(object)));
            trail.steps.pop();
            Ok(None)
        }
    }
}

/// A function of Python: where its code stands.
fn python(name: &str, function: &Bound<'_, PyAny>, trail: &mut Trail) -> PyResult<()> {
    let mut step = |role: &str, name: &str, function: &Bound<'_, PyAny>| -> PyResult<()> {
        let code = function.getattr("__code__")?;
        let file = text(&code.getattr("co_filename")?)?;
        let line: u32 = code.getattr("co_firstlineno")?.extract()?;
        trail.steps.push(Step {
            role: role.into(),
            object: name.into(),
            source: Some((file, line)),
            ..Step::default()
        });
        Ok(())
    };
    step("Python function", name, function)?;
    // A decorator has made it of another one, which does the work.
    let mut outer = function.clone();
    for _ in 0..DECORATORS {
        let inner = outer.getattr_opt("__wrapped__")?;
        let Some(inner) = inner.filter(|inner| inner.is_instance_of::<PyFunction>()) else {
            break;
        };
        let name = text(&inner.getattr("__qualname__")?)?;
        step("decorated function", &name, &inner)?;
        outer = inner;
    }
    Ok(())
}

/// No more of them are looked behind: a function could be its own.
const DECORATORS: usize = 8;

fn is_exactly(object: &Bound<'_, PyAny>, kind: *const ffi::PyTypeObject) -> bool {
    std::ptr::eq(object.get_type().as_type_ptr(), kind)
}

/// Functions that Cython compiled begin with the fields of a builtin one; the name in the table must be their own.
fn is_cython(object: &Bound<'_, PyAny>) -> bool {
    let kind = type_name(object);
    let known =
        kind.ends_with("cython_function_or_method") || kind.ends_with("fused_cython_function");
    let name = || object.getattr("__name__").ok()?.extract::<String>().ok();
    known
        && fields::builtin(object).is_some_and(|method| {
            method.flags >= 0 && method.name.is_some() && method.name == name()
        })
}

/// The address in a function object of ctypes, which is asked of ctypes itself.
fn foreign(py: Python<'_>, object: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
    let Some(ctypes) = imported(py, "ctypes")? else {
        return Ok(None);
    };
    let Some(class) = imported(py, "_ctypes")?
        .map(|module| module.getattr("CFuncPtr"))
        .transpose()?
    else {
        return Ok(None);
    };
    if !object.is_instance(&class)? {
        return Ok(None);
    }
    let pointer = ctypes.call_method1("cast", (object, ctypes.getattr("c_void_p")?))?;
    pointer.getattr("value")?.extract()
}
