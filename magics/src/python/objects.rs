//! Objects of Python: names of types, references, and values of JSON as objects.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyNone, PyString};
use serde_json::Value;

use diaphane_report::Facts;

/// The name of an object's type, which is a field of the type and runs no code of it.
pub(crate) fn type_name(object: &Bound<'_, PyAny>) -> String {
    object.get_type().name().map_or_else(
        |_| "object".into(),
        |name| name.to_string_lossy().into_owned(),
    )
}

/// Whether an object is of a class that a module has; of one that it does not have, nothing is.
pub(crate) fn is_of(
    object: &Bound<'_, PyAny>,
    module: &Bound<'_, PyAny>,
    class: &str,
) -> PyResult<bool> {
    match module.getattr_opt(class)? {
        Some(class) => object.get_type().is_subclass(&class),
        None => Ok(false),
    }
}

/// A string of Python's, whatever stands in it: one may hold what no UTF-8 can.
pub(crate) fn text(object: &Bound<'_, PyAny>) -> PyResult<String> {
    Ok(object.cast::<PyString>()?.to_string_lossy().into_owned())
}

/// The references to an object, ours too.
pub(crate) fn references(object: &Bound<'_, PyAny>) -> isize {
    #[allow(unsafe_code, reason = "pyo3 does not show the count")]
    // SAFETY: the object is alive, and its count is only read.
    unsafe {
        pyo3::ffi::Py_REFCNT(object.as_ptr())
    }
}

/// Whether a word can name a variable.
pub(crate) fn is_name(py: Python<'_>, word: &str) -> PyResult<bool> {
    let identifier: bool = PyString::new(py, word)
        .call_method0("isidentifier")?
        .extract()?;
    let keyword: bool = py
        .import("keyword")?
        .call_method1("iskeyword", (word,))?
        .extract()?;
    Ok(identifier && !keyword)
}

/// A value of JSON as a Python object.
pub(crate) fn python<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
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

/// The fields of an object of JSON, by name.
pub(crate) fn named(fields: &Facts) -> impl Iterator<Item = (&str, &Value)> {
    fields.iter().map(|(name, value)| (name.as_str(), value))
}

/// An object of JSON as a dict.
pub(crate) fn object<'a, 'py>(
    py: Python<'py>,
    fields: impl Iterator<Item = (&'a str, &'a Value)>,
) -> PyResult<Bound<'py, PyDict>> {
    let object = PyDict::new(py);
    for (key, value) in fields {
        object.set_item(key, python(py, value)?)?;
    }
    Ok(object)
}
