//! Fields of CPython's C structures, by the layouts of the version that this was compiled for.
//!
//! They are read through the kernel, as all foreign memory: an object that lies about its type gives wrong values or
//! none, and no crash.

use std::mem::offset_of;

use diaphane_sight::proc::spans::{c_string, int, word};
use pyo3::ffi;
use pyo3::prelude::*;

/// An entry of a table of methods.
pub(super) struct Method {
    /// The name in the table.
    pub name: Option<String>,
    /// The C function.
    pub code: usize,
    /// How it takes its arguments.
    pub flags: i32,
}

/// The method behind a builtin function; functions that Cython makes begin with the same fields.
pub(super) fn builtin(object: &Bound<'_, PyAny>) -> Option<Method> {
    method(field(object, offset_of!(ffi::PyCFunctionObject, m_ml))?)
}

/// The method behind a method descriptor, also of a class.
pub(super) fn descriptor(object: &Bound<'_, PyAny>) -> Option<Method> {
    method(field(
        object,
        offset_of!(ffi::PyMethodDescrObject, d_method),
    )?)
}

fn method(table: usize) -> Option<Method> {
    let code = word(table + offset_of!(ffi::PyMethodDef, ml_meth)).filter(|&code| code != 0)?;
    Some(Method {
        name: word(table + offset_of!(ffi::PyMethodDef, ml_name)).and_then(c_string),
        code,
        flags: int(table + offset_of!(ffi::PyMethodDef, ml_flags))?,
    })
}

/// The slot's function behind a wrapper such as `str.__add__`.
pub(super) fn wrapped(object: &Bound<'_, PyAny>) -> Option<usize> {
    field(object, offset_of!(ffi::PyWrapperDescrObject, d_wrapped))
}

/// The wrapper that a bound one such as `"".__add__` holds: the first field.
pub(super) fn wrapper_of_bound(object: &Bound<'_, PyAny>) -> Option<usize> {
    let wrapper = field(object, size_of::<ffi::PyObject>())?;
    word(wrapper + offset_of!(ffi::PyWrapperDescrObject, d_wrapped))
}

/// The getter and the setter of an attribute.
pub(super) fn accessors(object: &Bound<'_, PyAny>) -> [Option<usize>; 2] {
    let table = field(object, offset_of!(ffi::PyGetSetDescrObject, d_getset));
    let function = |offset: usize| word(table? + offset).filter(|&code| code != 0);
    [
        function(offset_of!(ffi::PyGetSetDef, get)),
        function(offset_of!(ffi::PyGetSetDef, set)),
    ]
}

/// Whether the type of an object is built in: classes that users make never are, whatever they call themselves.
pub(super) fn is_of_static_type(object: &Bound<'_, PyAny>) -> bool {
    let flags = field(
        object.get_type().as_any(),
        offset_of!(ffi::PyTypeObject, tp_flags),
    );
    flags.is_some_and(|flags| flags & ffi::Py_TPFLAGS_HEAPTYPE as usize == 0)
}

/// The address in a capsule: the first field.
pub(super) fn capsule(object: &Bound<'_, PyAny>) -> Option<usize> {
    field(object, size_of::<ffi::PyObject>())
}

/// Slots of a type that making an object goes through, by name.
pub(super) const SLOTS: &[(&str, usize)] = &[
    ("tp_new", offset_of!(ffi::PyTypeObject, tp_new)),
    ("tp_init", offset_of!(ffi::PyTypeObject, tp_init)),
];

/// The function in a slot of a type.
pub(super) fn slot(kind: &Bound<'_, PyAny>, offset: usize) -> Option<usize> {
    field(kind, offset)
}

/// The function that calling an object goes to: its own, where its type leaves it to the object (PEP 590).
pub(super) fn call(object: &Bound<'_, PyAny>) -> Option<usize> {
    let kind = object.get_type();
    let place = field(
        kind.as_any(),
        offset_of!(ffi::PyTypeObject, tp_vectorcall_offset),
    )
    .unwrap_or(0);
    let own = if place > 0 && place < 4096 {
        field(object, place)
    } else {
        None
    };
    own.or_else(|| field(kind.as_any(), offset_of!(ffi::PyTypeObject, tp_call)))
}

fn field(object: &Bound<'_, PyAny>, offset: usize) -> Option<usize> {
    word(object.as_ptr().addr() + offset).filter(|&value| value != 0)
}
