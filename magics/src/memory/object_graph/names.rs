//! How the user would write the way to an object: `d['x'][3].w`. What no expression leads to is said in words:
//! `error.__traceback__, frame of load, local big`.

use std::ffi::CStr;
use std::ptr;

use pyo3::ffi::{self, PyObject};
use pyo3::prelude::*;

use super::kinds::ObjectKind;
use super::{Edge, GraphNode, Root, code};
use crate::python::objects::type_name;

/// The way to a node, from the name of its root.
pub(super) fn path_of(nodes: &[GraphNode], index: usize, roots: &[Root<'_>]) -> String {
    let mut steps = Vec::new();
    let mut at = index;
    let root = loop {
        let node = &nodes[at];
        let parent = &nodes[node.parent];
        match node.step {
            Edge::Root(number) if roots[number].0.is_empty() => break nameless(node),
            Edge::Root(number) => break roots[number].0.clone(),
            _ if node.kind == ObjectKind::Traceback => {
                let is_first = parent.kind != ObjectKind::Traceback;
                steps.push(if is_first { ".__traceback__" } else { "" }.to_owned());
            }
            _ if node.kind == ObjectKind::Frame => steps.push(format!(", {}", frame(node.object))),
            Edge::Key(_) if parent.kind == ObjectKind::Class => {
                steps.push(attribute(node.step));
            }
            Edge::Key(key) => {
                // The dict of an instance is not on the way that one writes.
                if is_attributes(nodes, parent) {
                    steps.push(attribute(node.step));
                    at = parent.parent;
                    continue;
                }
                steps.push(subscript(key));
            }
            Edge::Index(place) => steps.push(format!("[{place}]")),
            Edge::Flat(place) => steps.push(format!(".flat[{place}]")),
            Edge::Attribute(name) => steps.push(format!(".{name}")),
            Edge::Closure(number) => {
                let name = code::closure_variable(parent.object, number);
                steps.push(format!(", closure variable {}", name.unwrap_or_default()));
            }
            Edge::Inside => steps.push(inside(parent, node.object)),
        }
        at = node.parent;
    };
    steps.push(root);
    steps.reverse();
    steps.concat()
}

/// An object that no variable leads to.
fn nameless(node: &GraphNode) -> String {
    match node.kind {
        ObjectKind::Frame => frame(node.object),
        _ => format!("<{}>", type_name_at(node.object)),
    }
}

fn frame(frame: *mut PyObject) -> String {
    let name = code::function_of_frame(frame);
    format!("frame of {}", name.unwrap_or_default())
}

/// The key of a dict of attributes, as one writes an attribute.
fn attribute(step: Edge) -> String {
    match step {
        Edge::Key(key) => format!(".{}", text(key).unwrap_or_default()),
        _ => String::new(),
    }
}

/// Whether a dict is the `__dict__` of the object that it was found in.
fn is_attributes(nodes: &[GraphNode], dict: &GraphNode) -> bool {
    matches!(dict.step, Edge::Inside)
        && matches!(
            nodes[dict.parent].kind,
            ObjectKind::Other | ObjectKind::Function
        )
        && attributes(nodes[dict.parent].object) == dict.object
}

fn subscript(key: *mut PyObject) -> String {
    match (text(key), number(key)) {
        (Some(text), _) => format!("['{}']", text.escape_debug()),
        (None, Some(number)) => format!("[{number}]"),
        (None, None) => format!("[<{}>]", type_name_at(key)),
    }
}

/// Where one object lies in another that is neither a dict nor a sequence: a variable, an attribute, else somewhere.
fn inside(holder: &GraphNode, object: *mut PyObject) -> String {
    if type_at(holder.object) == object {
        return ".__class__".to_owned();
    }
    let variable = match holder.kind {
        ObjectKind::Frame => code::variable(holder.object, object),
        ObjectKind::Generator => code::variable_of_generator(holder.object, object),
        _ => None,
    };
    if let Some(variable) = variable {
        return format!(", local {variable}");
    }
    match type_name_at(holder.object).as_str() {
        // The cell stands for what is in it.
        "cell" => return String::new(),
        "builtin_function_or_method" => return ".__self__".to_owned(),
        "_lru_cache_wrapper" => return ", its lru_cache".to_owned(),
        _ => {}
    }
    let in_dict = key_of(attributes(holder.object), |_, value| value == object);
    let name = in_dict.or_else(|| slot(holder.object, object));
    match name.and_then(text) {
        Some(name) => format!(".{name}"),
        None => format!(".<{}>", type_name_at(object)),
    }
}

/// The dict of an object's attributes, or null.
#[allow(unsafe_code, reason = "objects are read through CPython's C interface")]
pub(super) fn attributes(object: *mut PyObject) -> *mut PyObject {
    // SAFETY: the object is alive. The reference that is returned is given back at once: the object keeps the dict.
    unsafe {
        let dict = ffi::PyObject_GenericGetDict(object, ptr::null_mut());
        if dict.is_null() {
            ffi::PyErr_Clear();
        } else {
            ffi::Py_DECREF(dict);
        }
        dict
    }
}

/// The name of the slot that holds an object: `__slots__`, or a member of a type that C made.
#[allow(unsafe_code, reason = "objects are read through CPython's C interface")]
fn slot(holder: *mut PyObject, object: *mut PyObject) -> Option<*mut PyObject> {
    // SAFETY: `tp_mro` of a ready type is a tuple of types. A member descriptor reads a field and runs no Python code.
    unsafe {
        let order = (*ffi::Py_TYPE(holder)).tp_mro;
        let count = if order.is_null() {
            0
        } else {
            ffi::PyTuple_GET_SIZE(order)
        };
        (0..count).find_map(|place| {
            let class = ffi::PyTuple_GET_ITEM(order, place).cast::<ffi::PyTypeObject>();
            key_of((*class).tp_dict, |_, value| {
                if !std::ptr::eq(ffi::Py_TYPE(value), &raw const ffi::PyMemberDescr_Type) {
                    return false;
                }
                let Some(get) = (*ffi::Py_TYPE(value)).tp_descr_get else {
                    return false;
                };
                let held = get(value, holder, ffi::Py_TYPE(holder).cast());
                if held.is_null() {
                    ffi::PyErr_Clear();
                } else {
                    ffi::Py_DECREF(held);
                }
                held == object
            })
        })
    }
}

/// The first key of a dict whose entry is the right one.
#[allow(unsafe_code, reason = "objects are read through CPython's C interface")]
fn key_of(
    dict: *mut PyObject,
    is_right: impl Fn(*mut PyObject, *mut PyObject) -> bool,
) -> Option<*mut PyObject> {
    if dict.is_null() {
        return None;
    }
    let (mut place, mut key, mut value) = (0, ptr::null_mut(), ptr::null_mut());
    // SAFETY: it is a dict, and nothing changes it meanwhile.
    while unsafe { ffi::PyDict_Next(dict, &mut place, &mut key, &mut value) } != 0 {
        if is_right(key, value) {
            return Some(key);
        }
    }
    None
}

/// The text of a `str`, and of no subclass.
#[allow(unsafe_code, reason = "objects are read through CPython's C interface")]
fn text(object: *mut PyObject) -> Option<String> {
    // SAFETY: the object is alive, and a text keeps its UTF-8 as long as it lives.
    unsafe {
        if ffi::PyUnicode_CheckExact(object) == 0 {
            return None;
        }
        let text = ffi::PyUnicode_AsUTF8(object);
        if text.is_null() {
            // A lone surrogate has no UTF-8.
            ffi::PyErr_Clear();
            return None;
        }
        Some(CStr::from_ptr(text).to_string_lossy().into_owned())
    }
}

#[allow(unsafe_code, reason = "objects are read through CPython's C interface")]
fn number(object: *mut PyObject) -> Option<i64> {
    let mut overflow = 0;
    // SAFETY: the object is alive; the conversion of an `int` runs no Python code.
    unsafe {
        if ffi::PyLong_CheckExact(object) == 0 {
            return None;
        }
        let number = ffi::PyLong_AsLongLongAndOverflow(object, &mut overflow);
        (overflow == 0).then_some(number)
    }
}

#[allow(unsafe_code, reason = "objects are read through CPython's C interface")]
fn type_name_at(object: *mut PyObject) -> String {
    // SAFETY: the object is alive, and the graph is walked with the GIL held.
    unsafe { type_name(&Bound::from_borrowed_ptr(Python::assume_attached(), object)) }
}

#[allow(unsafe_code, reason = "objects are read through CPython's C interface")]
fn type_at(object: *mut PyObject) -> *mut PyObject {
    // SAFETY: the object is alive, and so has a type.
    unsafe { ffi::Py_TYPE(object) }.cast()
}
