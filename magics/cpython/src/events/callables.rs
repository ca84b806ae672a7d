//! What Python calls when it calls no Python function: which of them are the same, and what they are called.
//!
//! A method of a C type is a new object at each call, bound to its `self`; what stays is its definition. So a method is
//! known by its definition and by the type of its `self`, and by the `self` where that says more: a module, a type, a
//! ufunc.

use std::ffi::CStr;

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyModule, PyString, PyType};

/// What makes two callables the same.
pub type Key = (usize, usize);

/// Something that is written in C, or a class.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Callable {
    /// What a person calls it: `numpy.add.reduce`, `ndarray.sum`, `len`.
    pub name: String,
    /// Its C function, if it has one of its own.
    pub code: Option<usize>,
    /// Whether it is a ufunc or a method of one.
    pub is_ufunc: bool,
}

/// The key of a callable.
pub fn key(callable: &Bound<'_, PyAny>) -> Key {
    definition(callable).map_or((callable.as_ptr().addr(), 0), |(definition, owner)| {
        (definition.addr(), owner.as_ptr().addr())
    })
}

/// What is kept alive for a callable: the object itself, or what its key names.
pub fn kept(callable: &Bound<'_, PyAny>) -> Py<PyAny> {
    definition(callable).map_or_else(|| callable.clone().unbind(), |(_, owner)| owner.unbind())
}

/// The definition of a C function or method, and what it belongs to. CPython 3.11 reports methods as they are bound,
/// later versions mostly as the type has them.
#[allow(unsafe_code, reason = "the fields of C function objects")]
fn definition<'py>(
    callable: &Bound<'py, PyAny>,
) -> Option<(*mut ffi::PyMethodDef, Bound<'py, PyAny>)> {
    let py = callable.py();
    if callable.cast::<PyCFunction>().is_ok() {
        // SAFETY: the object is a C function object, which is alive.
        let function = unsafe { &*callable.as_ptr().cast::<ffi::PyCFunctionObject>() };
        return Some((function.m_ml, owner(py, function)));
    }
    if callable.get_type_ptr() != &raw mut ffi::PyMethodDescr_Type {
        return None;
    }
    // SAFETY: the object is a method of a type as the type has it, which is alive; no class can be derived from those.
    let method = unsafe { &*callable.as_ptr().cast::<ffi::PyMethodDescrObject>() };
    // SAFETY: it holds its type.
    let class = unsafe { Bound::from_borrowed_ptr(py, method.d_common.d_type.cast()) };
    Some((method.d_method, class))
}

/// The module, type or ufunc that a C function belongs to, or the type of its `self`.
#[allow(unsafe_code, reason = "the fields of a C function object")]
fn owner<'py>(py: Python<'py>, function: &ffi::PyCFunctionObject) -> Bound<'py, PyAny> {
    // SAFETY: `m_self` is null or an object that the function holds.
    let own = unsafe { Bound::from_borrowed_ptr_or_opt(py, function.m_self) };
    let Some(own) = own else {
        return py.None().into_bound(py);
    };
    let stays = own.cast::<PyModule>().is_ok() || own.cast::<PyType>().is_ok() || is_ufunc(&own);
    if stays {
        own
    } else {
        own.get_type().into_any()
    }
}

fn is_ufunc(object: &Bound<'_, PyAny>) -> bool {
    type_name(object) == c"numpy.ufunc"
}

/// The name that a C type was given; nothing of the user's runs.
#[allow(unsafe_code, reason = "a field of a type object")]
fn type_name<'a>(object: &'a Bound<'_, PyAny>) -> &'a CStr {
    // SAFETY: every type that is alive has a name, and an object keeps its type.
    unsafe { CStr::from_ptr((*object.get_type_ptr()).tp_name) }
}

#[allow(
    unsafe_code,
    reason = "of CPython's C interface, and not in `pyo3::ffi`"
)]
unsafe extern "C" {
    #[allow(non_upper_case_globals, reason = "CPython's name")]
    static mut PyMethod_Type: ffi::PyTypeObject;
    fn PyMethod_Function(method: *mut ffi::PyObject) -> *mut ffi::PyObject;
}

/// What a bound method calls.
#[allow(unsafe_code, reason = "the types of objects")]
pub fn function_of<'py>(callable: &Bound<'py, PyAny>) -> Option<Bound<'py, PyAny>> {
    if callable.get_type_ptr() != &raw mut PyMethod_Type {
        return None;
    }
    // SAFETY: it is a bound method, since no class can be derived from the type.
    let function = unsafe { PyMethod_Function(callable.as_ptr()) };
    // SAFETY: the method holds its function.
    Some(unsafe { Bound::from_borrowed_ptr(callable.py(), function) })
}

/// Whether it is the function by which Python loads an extension module.
#[allow(unsafe_code, reason = "a field of a definition")]
pub fn is_loader(callable: &Bound<'_, PyAny>) -> bool {
    let Some((definition, owner)) = definition(callable) else {
        return false;
    };
    // SAFETY: the definition is one of a callable that is alive; it has a name.
    let name = unsafe { CStr::from_ptr((*definition).ml_name) };
    let is_imp = owner.cast::<PyModule>().is_ok_and(|module| {
        module
            .name()
            .is_ok_and(|name| name.to_string_lossy() == "_imp")
    });
    // `dlopen` is `_ctypes`' own.
    matches!(name.to_bytes(), b"create_dynamic" | b"exec_dynamic") && is_imp
        || name.to_bytes() == b"dlopen"
}

impl Callable {
    /// Reads what a key stands for.
    #[allow(unsafe_code, reason = "the fields of a definition")]
    pub fn read(key: Key, kept: &Bound<'_, PyAny>) -> Self {
        if key.1 == 0 {
            return Self::of_object(kept);
        }
        let definition = key.0 as *const ffi::PyMethodDef;
        // SAFETY: the definition belongs to a function that was called a moment ago, and to a module or type that is
        // kept; definitions are static, or live as long as their owner.
        let definition = unsafe { &*definition };
        // SAFETY: a definition has a name.
        let name = unsafe { CStr::from_ptr(definition.ml_name) }.to_string_lossy();
        // SAFETY: whatever the calling convention, the field is one pointer.
        let code = unsafe { (&raw const definition.ml_meth).cast::<usize>().read() };
        let from = owner_name(kept);
        Self {
            name: if from.is_empty() {
                name.into_owned()
            } else {
                format!("{from}.{name}")
            },
            code: Some(code).filter(|&code| code != 0),
            is_ufunc: is_ufunc(kept),
        }
    }

    fn of_object(object: &Bound<'_, PyAny>) -> Self {
        if let Some(function) = function_of(object) {
            return Self::of_object(&function);
        }
        let kind = type_name(object).to_string_lossy();
        let is_ufunc = kind == "numpy.ufunc";
        if let Ok(class) = object.cast::<PyType>() {
            return Self {
                name: class_name(class),
                ..Self::default()
            };
        }
        let named = [
            "numpy.ufunc",
            "numpy._ArrayFunctionDispatcher",
            "method_descriptor",
            "classmethod_descriptor",
            "wrapper_descriptor",
            "method-wrapper",
            "builtin_function_or_method",
            "functools._lru_cache_wrapper",
        ];
        let is_cython = matches!(
            kind.rsplit('.').next(),
            Some("cython_function_or_method" | "fused_cython_function")
        );
        let is_named = named.contains(&&*kind) || is_cython;
        let text = |field: &str| {
            let value = object.getattr(field).ok()?;
            Some(
                value
                    .cast_into::<PyString>()
                    .ok()?
                    .to_string_lossy()
                    .into_owned(),
            )
        };
        // Of other objects nothing is asked, since the answer would be the user's own code.
        let name = is_named
            .then(|| text("__qualname__").or_else(|| text("__name__")))
            .flatten();
        let name = match (name, kind.starts_with("numpy.")) {
            (Some(name), true) => format!("numpy.{name}"),
            (Some(name), false) => name,
            (None, _) => format!("{kind} object"),
        };
        Self {
            name,
            code: None,
            is_ufunc,
        }
    }
}

fn owner_name(owner: &Bound<'_, PyAny>) -> String {
    if owner.is_none() {
        return String::new();
    }
    if let Ok(module) = owner.cast::<PyModule>() {
        let name = module
            .name()
            .map(|name| name.to_string_lossy().into_owned());
        return name
            .unwrap_or_default()
            .trim_start_matches("builtins")
            .to_owned();
    }
    if is_ufunc(owner) {
        let name = owner.getattr("__name__");
        let name = name.and_then(|name| name.extract::<String>());
        return format!("numpy.{}", name.unwrap_or_else(|_| "ufunc".into()));
    }
    owner.cast::<PyType>().map(class_name).unwrap_or_default()
}

/// The name of a class, with its module unless that is Python's own.
fn class_name(class: &Bound<'_, PyType>) -> String {
    let name = class
        .qualname()
        .map(|name| name.to_string_lossy().into_owned());
    name.unwrap_or_else(|_| "a class".into())
}
