//! What the walk does with an object, by its type: each type is judged once, by its C structure alone.

use std::ffi::CStr;

use pyo3::ffi::{self, PyTypeObject};
use pyo3::prelude::*;
use pyo3::types::PyType;
use rustc_hash::FxHashMap;

use diaphane_cpython::modules::imported;

/// What the walk does with an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ObjectKind {
    /// It exports memory, and is not looked into.
    Memory,
    /// It holds others.
    Dict,
    List,
    Tuple,
    /// A class; what it holds counts where the user wrote it.
    Class,
    /// A function, whose globals are of no interest.
    Function,
    /// A function that runs, or that an error has ended.
    Frame,
    Traceback,
    /// A generator or coroutine.
    Generator,
    Other,
    /// It is of no interest.
    Nothing,
}

/// Types whose objects hold half of the process, and no data of the user that is not reached otherwise.
const CODE: [&str; 10] = [
    "module",
    "method_descriptor",
    "wrapper_descriptor",
    "getset_descriptor",
    "member_descriptor",
    "classmethod",
    "staticmethod",
    "property",
    "code",
    "weakref.ReferenceType",
];

/// Types that keep what was given to a function or what it has made.
const KEEPING: [(&str, ObjectKind); 6] = [
    ("function", ObjectKind::Function),
    ("frame", ObjectKind::Frame),
    ("traceback", ObjectKind::Traceback),
    ("generator", ObjectKind::Generator),
    ("coroutine", ObjectKind::Generator),
    ("async_generator", ObjectKind::Generator),
];

/// Packages whose objects belong to the notebook's machinery.
const MACHINERY: [&str; 7] = [
    "IPython",
    "traitlets",
    "diaphane",
    "_diaphane",
    "ipykernel",
    "comm",
    "asyncio",
];

/// Classes whose memory is in parts; `crate::memory::buffers` knows them.
const IN_PARTS: [(&str, &[&str]); 5] = [
    ("pandas", &["DataFrame", "Series", "Index"]),
    ("pandas.api.extensions", &["ExtensionArray"]),
    ("polars", &["DataFrame", "Series"]),
    (
        "pyarrow.lib",
        &["Array", "ChunkedArray", "Table", "RecordBatch"],
    ),
    ("torch", &["Tensor"]),
];

/// The judgements so far.
pub(super) struct Kinds {
    known: FxHashMap<usize, ObjectKind>,
    in_parts: Vec<Py<PyType>>,
}

#[allow(unsafe_code, reason = "the structure of a type is read")]
impl Kinds {
    pub fn of(py: Python<'_>) -> PyResult<Self> {
        let mut in_parts = Vec::new();
        for (module, classes) in IN_PARTS {
            let Some(module) = imported(py, module)? else {
                continue;
            };
            for class in classes {
                let class = module.getattr_opt(*class)?;
                let class = class.and_then(|class| class.cast_into::<PyType>().ok());
                in_parts.extend(class.map(Bound::unbind));
            }
        }
        Ok(Self {
            known: FxHashMap::default(),
            in_parts,
        })
    }

    /// The kind of the objects of a type.
    pub fn of_type(&mut self, class: *mut PyTypeObject) -> ObjectKind {
        if let Some(kind) = self.known.get(&class.addr()) {
            return *kind;
        }
        let kind = self.judge(class);
        self.known.insert(class.addr(), kind);
        kind
    }

    fn judge(&self, class: *mut PyTypeObject) -> ObjectKind {
        // SAFETY: the type of a living object is alive and ready; its fields and flags are read, and its bases compared.
        // No function of the type is called.
        unsafe {
            let is = |flag| ffi::PyType_FastSubclass(class, flag) != 0;
            let extends = |other: &Py<PyType>| {
                ffi::PyType_IsSubtype(class, other.as_ptr().cast::<PyTypeObject>()) != 0
            };
            let buffer = (*class).tp_as_buffer;
            if is(ffi::Py_TPFLAGS_BYTES_SUBCLASS) {
                ObjectKind::Nothing
            } else if is(ffi::Py_TPFLAGS_TYPE_SUBCLASS) {
                ObjectKind::Class
            } else if self.in_parts.iter().any(extends)
                || !buffer.is_null() && (*buffer).bf_getbuffer.is_some()
            {
                ObjectKind::Memory
            } else if is(ffi::Py_TPFLAGS_DICT_SUBCLASS) {
                ObjectKind::Dict
            } else if is(ffi::Py_TPFLAGS_LIST_SUBCLASS) {
                ObjectKind::List
            } else if is(ffi::Py_TPFLAGS_TUPLE_SUBCLASS) {
                ObjectKind::Tuple
            } else if let Some(kind) = keeping(class) {
                kind
            } else if (*class).tp_traverse.is_none() || is_machinery(class) {
                ObjectKind::Nothing
            } else {
                ObjectKind::Other
            }
        }
    }
}

/// The kind of objects that keep what was given to a function. Nobody can derive from their types.
#[allow(unsafe_code, reason = "the structure of a type is read")]
fn keeping(class: *mut PyTypeObject) -> Option<ObjectKind> {
    // SAFETY: as in `judge`; a type that Python code made is allocated, and the flag says so.
    let is_pythons = unsafe { ffi::PyType_GetFlags(class) & ffi::Py_TPFLAGS_HEAPTYPE != 0 };
    // SAFETY: the name of a type ends with a zero.
    let name = unsafe { CStr::from_ptr((*class).tp_name) };
    let named =
        |(known, kind): (&str, ObjectKind)| (name.to_bytes() == known.as_bytes()).then_some(kind);
    KEEPING.into_iter().filter(|_| !is_pythons).find_map(named)
}

/// Whether the walk would leave the user's data through objects of this type.
#[allow(unsafe_code, reason = "the structure of a type is read")]
fn is_machinery(class: *mut PyTypeObject) -> bool {
    // SAFETY: as in `judge`; the name of a type ends with a zero.
    let name = unsafe { CStr::from_ptr((*class).tp_name).to_string_lossy() };
    // The name of a type that C made has the module in front of it.
    let module = module_of(class);
    let package = module.as_deref().unwrap_or(&name);
    let package = package.split('.').next().unwrap_or_default();
    CODE.contains(&&*name) || MACHINERY.contains(&package)
}

/// The module of a class that says so.
#[allow(unsafe_code, reason = "the structure of a type is read")]
pub(super) fn module_of(class: *mut PyTypeObject) -> Option<String> {
    // SAFETY: as in `judge`; `__module__` is a text where it is one, and keeps its UTF-8 as long as it lives.
    unsafe {
        let dict = (*class).tp_dict;
        if dict.is_null() {
            return None;
        }
        let module = ffi::PyDict_GetItemString(dict, c"__module__".as_ptr());
        if module.is_null() || ffi::PyUnicode_Check(module) == 0 {
            return None;
        }
        let text = ffi::PyUnicode_AsUTF8(module);
        if text.is_null() {
            ffi::PyErr_Clear();
            return None;
        }
        Some(CStr::from_ptr(text).to_string_lossy().into_owned())
    }
}
