//! How much the roots hold: the sizes of Python's objects, each counted once, for the root from which it is fewest steps
//! away. Memory that an object exports is told by the object, and not counted here.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use pyo3::ffi::{self, PyObject, PyTypeObject};
use pyo3::prelude::*;

use super::kinds::ObjectKind;
use super::meetings::{HeldTogether, Meetings};
use super::{Pause, Root, Walk, bound, code};

/// What a root holds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct HeldMemory {
    pub objects: usize,
    pub bytes: usize,
}

/// What all roots hold.
pub(crate) struct Census<'py> {
    /// For each root.
    pub held: Vec<HeldMemory>,
    /// What exports memory, with the number of its root.
    pub exporters: Vec<(usize, Bound<'py, PyAny>)>,
    /// What other roots hold too, by the root that it counts for and the other one.
    pub shared: BTreeMap<(usize, usize), HeldTogether>,
    /// Whether the walk ended before everything was seen.
    pub is_cut: bool,
}

/// Counts what some roots hold, until then.
pub(crate) fn of<'py>(
    py: Python<'py>,
    namespace: &Bound<'py, PyAny>,
    roots: &[Root<'py>],
    deadline: Instant,
) -> PyResult<Census<'py>> {
    let _pause = Pause::begin();
    let sizes = Sizes {
        held: vec![HeldMemory::default(); roots.len()],
        asks: HashMap::new(),
        size_of: py.import("sys")?.getattr("getsizeof")?.unbind(),
        meetings: Meetings::of(roots),
    };
    let mut walk = Walk::of(py, namespace, Some(sizes))?;
    let is_cut = walk.run(roots, Some(deadline));
    let exporter = |&index: &usize| {
        let node = &walk.nodes[index];
        (node.root, bound(py, node.object))
    };
    let exporters = walk.found.iter().map(exporter).collect();
    let (held, shared) = walk.census.map_or_else(Default::default, |sizes| {
        (sizes.held, sizes.meetings.shared(&walk.found))
    });
    Ok(Census {
        exporters,
        held,
        shared,
        is_cut,
    })
}

/// The sums of a walk.
pub(super) struct Sizes {
    held: Vec<HeldMemory>,
    /// Whether the objects of a type are asked for their sizes.
    asks: HashMap<usize, bool>,
    size_of: Py<PyAny>,
    meetings: Meetings,
}

#[allow(unsafe_code, reason = "objects are read through CPython's C interface")]
impl Sizes {
    /// Whether an object counts. Modules, classes and what belongs to them are nobody's data, unless they are looked at for
    /// their own sake.
    pub fn counts(&self, object: *mut PyObject, kind: ObjectKind, is_root: bool) -> bool {
        match kind {
            _ if is_root => true,
            ObjectKind::Class => false,
            // SAFETY: the object is alive, as is its type, of which a field is read.
            ObjectKind::Nothing => unsafe {
                (*ffi::Py_TYPE(object)).tp_traverse.is_none() || ffi::PyBytes_Check(object) != 0
            },
            _ => true,
        }
    }

    /// Its size, which its root has from now on.
    pub fn count(&mut self, object: *mut PyObject, kind: ObjectKind, root: usize) -> usize {
        // SAFETY: the object is alive, and so is its type.
        let class = unsafe { ffi::Py_TYPE(object) };
        let asks = kind != ObjectKind::Memory
            && *self
                .asks
                .entry(class.addr())
                .or_insert_with(|| !has_python_size(class));
        let asked = asks.then(|| {
            let object = bound(code::here(), object);
            let size = self.size_of.bind(object.py()).call1((object,)).ok()?;
            size.extract::<usize>().ok()
        });
        // SAFETY: as above; the fields of the type are read.
        let least = unsafe { (*class).tp_basicsize }.unsigned_abs();
        let held = &mut self.held[root];
        let bytes = asked.flatten().unwrap_or(least);
        held.objects += 1;
        held.bytes += bytes;
        bytes
    }

    /// An object was seen for the first time: from a root, as a node of the walk if it is one, in another node.
    pub fn place(
        &mut self,
        address: usize,
        at: (usize, Option<usize>, Option<usize>),
        bytes: usize,
    ) {
        self.meetings.place(address, at, bytes);
    }

    /// An object was seen once more.
    pub fn meet(&mut self, address: usize, root: usize) {
        self.meetings.meet(address, root);
    }
}

/// Whether Python code would answer how large an object of a type is. It is not asked.
#[allow(unsafe_code, reason = "the structure of a type is read")]
fn has_python_size(class: *mut PyTypeObject) -> bool {
    // SAFETY: the type is alive, and so are its bases, which are a tuple of types; a dict of a type that Python code made
    // lies in this field, in every version. Nothing of theirs is called.
    unsafe {
        let bases = (*class).tp_mro;
        if bases.is_null() {
            return true;
        }
        (0..ffi::PyTuple_GET_SIZE(bases)).any(|place| {
            let base = ffi::PyTuple_GET_ITEM(bases, place).cast::<PyTypeObject>();
            let dict = (*base).tp_dict;
            if dict.is_null() || ffi::PyType_GetFlags(base) & ffi::Py_TPFLAGS_HEAPTYPE == 0 {
                return false;
            }
            let found = ffi::PyDict_GetItemString(dict, c"__sizeof__".as_ptr());
            !found.is_null() && ffi::PyFunction_Check(found) != 0
        })
    }
}
