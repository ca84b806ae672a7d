//! Finds what exports memory inside the user's objects: in dicts, lists, tuples, instances and whatever else the garbage
//! collector can look into; also what functions, generators and the tracebacks of errors keep.
//!
//! While it walks no Python code runs: dicts and lists are read as they are, and other objects are asked by the function
//! through which the garbage collector asks them (`tp_traverse`). So references can be followed without holding them, and
//! a hundred thousand objects take milliseconds.

pub(crate) mod census;
mod code;
mod kinds;
pub(crate) mod meetings;
mod names;
pub(crate) mod roots;

use std::ffi::{c_int, c_void};
use std::ptr;
use std::time::Instant;

use pyo3::ffi::{self, PyObject};
use pyo3::prelude::*;
use rustc_hash::FxHashSet;

use self::census::Sizes;
use self::kinds::{Kinds, ObjectKind};
use crate::numpy::arrays;

/// Beyond so many objects a walk ends.
const MOST: usize = 2_000_000;

/// An object that exports memory, and how the user reaches it.
pub(crate) struct ReachedObject<'py> {
    pub name: String,
    pub object: Bound<'py, PyAny>,
}

/// What was found.
pub(crate) struct Traversal<'py> {
    /// Each object once, the shortest way to it first.
    pub found: Vec<ReachedObject<'py>>,
    /// Whether the walk ended before everything was seen.
    pub is_cut: bool,
}

/// A named object to look from.
pub(crate) type Root<'py> = (String, Bound<'py, PyAny>);

/// Where an object was found in another one.
#[derive(Clone, Copy)]
enum Edge {
    /// The root of this number.
    Root(usize),
    /// Behind a key of a dict.
    Key(*mut PyObject),
    /// At a place in a list or a tuple.
    Index(usize),
    /// At a place of an array of several axes.
    Flat(usize),
    /// Behind an attribute that is no entry of a dict.
    Attribute(&'static str),
    /// A variable of this number that a function has from the one around it.
    Closure(usize),
    /// Somewhere inside.
    Inside,
}

/// An object on the way.
struct GraphNode {
    object: *mut PyObject,
    kind: ObjectKind,
    parent: usize,
    step: Edge,
    /// The root that it was reached from.
    root: usize,
}

/// A walk through everything that the roots hold.
struct Walk {
    kinds: Kinds,
    /// Whether NumPy is there.
    has_arrays: bool,
    nodes: Vec<GraphNode>,
    seen: FxHashSet<usize>,
    found: Vec<usize>,
    /// Counts what the roots hold, where that is asked.
    census: Option<Sizes>,
}

/// Looks from some named objects, which are among the answers if they export memory themselves.
pub(crate) fn from<'py>(
    py: Python<'py>,
    namespace: &Bound<'py, PyAny>,
    roots: &[Root<'py>],
) -> PyResult<Traversal<'py>> {
    only(py, namespace, roots, None, |_| true)
}

/// The same for no longer than until then, and of what is found only what is wanted: a name costs more than a look. No Python
/// code may run in `is_wanted`.
pub(crate) fn only<'py>(
    py: Python<'py>,
    namespace: &Bound<'py, PyAny>,
    roots: &[Root<'py>],
    deadline: Option<Instant>,
    is_wanted: impl Fn(&Bound<'py, PyAny>) -> bool,
) -> PyResult<Traversal<'py>> {
    // A collection could run finalizers, which are Python code.
    let _pause = Pause::begin();
    let mut walk = Walk::of(py, namespace, None)?;
    let is_cut = walk.run(roots, deadline);
    let wanted = |&index: &usize| {
        let object = bound(py, walk.nodes[index].object);
        is_wanted(&object).then(|| ReachedObject {
            name: names::path_of(&walk.nodes, index, roots),
            object,
        })
    };
    Ok(Traversal {
        found: walk.found.iter().filter_map(wanted).collect(),
        is_cut,
    })
}

/// A reference of our own to an object that the walk reached.
#[allow(unsafe_code, reason = "the walk has plain pointers")]
fn bound<'py>(py: Python<'py>, object: *mut PyObject) -> Bound<'py, PyAny> {
    // SAFETY: no Python code has run since the object was reached from a root that is held, so that it is still alive.
    unsafe { Bound::from_borrowed_ptr(py, object) }
}

impl Walk {
    fn of(py: Python<'_>, namespace: &Bound<'_, PyAny>, census: Option<Sizes>) -> PyResult<Self> {
        Ok(Self {
            kinds: Kinds::of(py)?,
            has_arrays: arrays::is_imported(py)?,
            nodes: Vec::new(),
            // The user's functions lead back to the namespace.
            seen: FxHashSet::from_iter([namespace.as_ptr().addr()]),
            found: Vec::new(),
            census,
        })
    }

    /// Walks from the roots. Whether it ended before everything was seen.
    fn run(&mut self, roots: &[Root<'_>], deadline: Option<Instant>) -> bool {
        /// The clock is read once for so many objects.
        const BETWEEN: usize = 1024;
        let is_late = |opened: usize| {
            opened.is_multiple_of(BETWEEN) && deadline.is_some_and(|end| Instant::now() > end)
        };
        let mut next = 0;
        // What a variable holds is found there, and not in the history of the notebook, which is one step away.
        for stage in 0..roots::STAGES {
            for (number, (name, root)) in roots.iter().enumerate() {
                if roots::stage(name) == stage {
                    self.add(root.as_ptr(), 0, Edge::Root(number));
                }
            }
            while next < self.nodes.len() && self.nodes.len() < MOST && !is_late(next) {
                self.open(next);
                next += 1;
            }
        }
        next < self.nodes.len()
    }
}

#[allow(unsafe_code, reason = "objects are read through CPython's C interface")]
impl Walk {
    /// Takes note of an object unless it was seen, or can neither export memory nor hold what does.
    fn add(&mut self, object: *mut PyObject, parent: usize, step: Edge) {
        let root = match step {
            Edge::Root(number) => number,
            _ => self.nodes[parent].root,
        };
        // SAFETY: the object was reached from one that is alive, and no Python code has run since.
        let kind = self.kinds.of_type(unsafe { ffi::Py_TYPE(object) });
        let is_counted = self
            .census
            .as_ref()
            .is_some_and(|census| census.counts(object, kind, matches!(step, Edge::Root(_))));
        if kind == ObjectKind::Nothing && !is_counted {
            return;
        }
        if !self.seen.insert(object.addr()) {
            if let Some(census) = &mut self.census {
                census.meet(object.addr(), root);
            }
            return;
        }
        if let Some(census) = &mut self.census {
            let node = (kind != ObjectKind::Nothing).then_some(self.nodes.len());
            let parent = (!matches!(step, Edge::Root(_))).then_some(parent);
            let bytes = is_counted.then(|| census.count(object, kind, root));
            census.place(
                object.addr(),
                (root, node, parent),
                bytes.unwrap_or_default(),
            );
        }
        if kind == ObjectKind::Nothing {
            self.open_code_object(object, parent);
            return;
        }
        if kind == ObjectKind::Memory {
            self.found.push(self.nodes.len());
        }
        self.nodes.push(GraphNode {
            object,
            kind,
            parent,
            step,
            root,
        });
    }

    /// Adds what an object holds.
    fn open(&mut self, index: usize) {
        let GraphNode { object, kind, .. } = self.nodes[index];
        match kind {
            ObjectKind::Dict => self.open_dict(object, index),
            ObjectKind::List | ObjectKind::Tuple => self.open_sequence(object, kind, index),
            ObjectKind::Class => self.open_class(object, index),
            ObjectKind::Function => self.open_function(object, index),
            ObjectKind::Frame => self.open_frame(object, index),
            ObjectKind::Traceback | ObjectKind::Generator | ObjectKind::Other => {
                self.open_other(object, index);
            }
            ObjectKind::Memory => {
                self.open_array(object, index);
                if self.census.is_some() {
                    self.open_other(object, index);
                }
            }
            ObjectKind::Nothing => {}
        }
    }

    fn open_dict(&mut self, dict: *mut PyObject, index: usize) {
        let (mut place, mut key, mut value) = (0, ptr::null_mut(), ptr::null_mut());
        // SAFETY: it is a dict, and nothing changes it meanwhile.
        while unsafe { ffi::PyDict_Next(dict, &mut place, &mut key, &mut value) } != 0 {
            self.add(value, index, Edge::Key(key));
            if self.census.is_some() {
                self.add(key, index, Edge::Inside);
            }
        }
    }

    fn open_sequence(&mut self, sequence: *mut PyObject, kind: ObjectKind, index: usize) {
        // SAFETY: it is a list or a tuple, whose size is in its head.
        let count = unsafe { ffi::Py_SIZE(sequence) };
        for place in 0..count {
            // SAFETY: the place is inside, and the type is the one that the macro wants.
            let item = unsafe {
                match kind {
                    ObjectKind::List => ffi::PyList_GET_ITEM(sequence, place),
                    _ => ffi::PyTuple_GET_ITEM(sequence, place),
                }
            };
            // A tuple that is still being built has empty places.
            if !item.is_null() {
                self.add(item, index, Edge::Index(place.cast_unsigned()));
            }
        }
    }

    /// What an array of objects holds.
    fn open_array(&mut self, array: *mut PyObject, index: usize) {
        if !self.has_arrays {
            return;
        }
        let Some((items, is_flat)) = arrays::objects(&bound(code::here(), array)) else {
            return;
        };
        for (place, item) in items {
            let step = if is_flat {
                Edge::Index(place)
            } else {
                Edge::Flat(place)
            };
            if !item.is_null() {
                self.add(item, index, step);
            }
        }
    }

    /// What the class itself holds, if the user wrote it.
    fn open_class(&mut self, class: *mut PyObject, index: usize) {
        let class = class.cast::<ffi::PyTypeObject>();
        // SAFETY: it is a class; the dict of one that Python code made lies in this field, in every version.
        let dict = unsafe { (*class).tp_dict };
        if kinds::module_of(class).as_deref() == Some("__main__") && !dict.is_null() {
            self.open_dict(dict, index);
        }
    }

    /// What a function keeps, but for its globals, which are its module's.
    fn open_function(&mut self, function: *mut PyObject, index: usize) {
        for (number, cell) in code::closure(function).into_iter().enumerate() {
            self.add(cell, index, Edge::Closure(number));
        }
        for (name, held) in code::attributes(function) {
            self.add(held, index, Edge::Attribute(name));
        }
        if self.census.is_some() {
            // SAFETY: it is a function, and what it lends is its code.
            let code = unsafe { ffi::PyFunction_GetCode(function) };
            self.add(code, index, Edge::Inside);
        }
        let own = names::attributes(function);
        if !own.is_null() {
            self.add(own, index, Edge::Inside);
        }
    }

    /// The variables of a function that runs, or that an error has ended.
    fn open_frame(&mut self, frame: *mut PyObject, index: usize) {
        match code::variables(frame) {
            Some(variables) => {
                for (_, value) in variables {
                    self.add(value, index, Edge::Inside);
                }
            }
            None => self.open_other(frame, index),
        }
    }

    /// What code is made of; it is no object for the garbage collector.
    fn open_code_object(&mut self, object: *mut PyObject, parent: usize) {
        // SAFETY: the object is alive, and its type is only compared.
        if self.nodes.is_empty() || unsafe { ffi::PyCode_Check(object) } == 0 {
            return;
        }
        let object = bound(code::here(), object);
        for name in code::PARTS_OF_CODE {
            // They are fields of the code, which keeps them alive.
            if let Ok(part) = object.getattr(name) {
                self.add(part.as_ptr(), parent, Edge::Inside);
            }
        }
    }

    fn open_other(&mut self, object: *mut PyObject, index: usize) {
        let mut held: Vec<*mut PyObject> = Vec::new();
        // SAFETY: the object takes part in garbage collection, so that its function may be called at any time with the GIL
        // held. It calls `collect` with the objects that it holds and the list, which outlives the call.
        unsafe {
            if let (1.., Some(traverse)) = (
                ffi::PyObject_IS_GC(object),
                (*ffi::Py_TYPE(object)).tp_traverse,
            ) {
                traverse(object, collect, (&raw mut held).cast());
            }
        }
        for one in held {
            self.add(one, index, Edge::Inside);
        }
    }
}

/// Puts an object into the list behind `list`.
#[allow(unsafe_code, reason = "CPython calls it")]
unsafe extern "C" fn collect(object: *mut PyObject, list: *mut c_void) -> c_int {
    // SAFETY: it is the list of `open_other`, which nobody else uses during the call.
    let held = unsafe { &mut *list.cast::<Vec<*mut PyObject>>() };
    held.push(object);
    0
}

/// No garbage is collected as long as it lives.
struct Pause {
    was_on: bool,
}

#[allow(unsafe_code, reason = "the switch of the garbage collector")]
impl Pause {
    fn begin() -> Self {
        // SAFETY: the GIL is held.
        let was_on = unsafe { ffi::PyGC_Disable() } != 0;
        Self { was_on }
    }
}

#[allow(unsafe_code, reason = "the switch of the garbage collector")]
impl Drop for Pause {
    fn drop(&mut self) {
        if self.was_on {
            // SAFETY: as above.
            unsafe { ffi::PyGC_Enable() };
        }
    }
}
