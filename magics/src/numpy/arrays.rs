//! What NumPy's C structs say that its Python attributes do not give without building objects: the fields of an array,
//! and the allocator of its memory (NEP 49).
//!
//! NumPy is never imported here: an object can only be an array once it is.

use std::ffi::{CStr, c_char, c_void};
use std::sync::atomic::{AtomicBool, Ordering};

use numpy::npyffi::{PyArrayObject_fields, flags};
use numpy::{PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::ffi::{self, PyObject};
use pyo3::prelude::*;

use diaphane_sight::proc::spans::{self, Layout, Span};

use diaphane_cpython::modules::imported;

/// What an array's structure says.
pub(crate) struct Array<'py> {
    /// Where the items lie.
    pub layout: Layout,
    /// The kind of the items, in NumPy's words.
    pub dtype: Bound<'py, PyAny>,
    /// The object whose memory this is; `None` if the array has its own.
    pub base: Option<Bound<'py, PyAny>>,
    /// Whether items may be assigned.
    pub writeable: bool,
    /// Whether the items lie in C order without gaps.
    pub c_contiguous: bool,
    /// Whether the items lie in Fortran order without gaps.
    pub f_contiguous: bool,
    /// The name of the allocator that the array's own memory is from.
    pub allocator: Option<String>,
}

/// NumPy's `PyDataMemAllocator`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Allocator {
    pub context: *mut c_void,
    pub malloc: unsafe extern "C" fn(*mut c_void, usize) -> *mut c_void,
    pub calloc: unsafe extern "C" fn(*mut c_void, usize, usize) -> *mut c_void,
    pub realloc: unsafe extern "C" fn(*mut c_void, *mut c_void, usize) -> *mut c_void,
    pub free: unsafe extern "C" fn(*mut c_void, *mut c_void, usize),
}

/// NumPy's `PyDataMem_Handler`, in its version 1, to which later ones only add.
#[repr(C)]
pub(crate) struct DataMemHandler {
    pub name: [c_char; 127],
    pub version: u8,
    pub allocator: Allocator,
}

/// The name of the capsule around a [`DataMemHandler`].
pub(crate) const HANDLER: &CStr = c"mem_handler";

/// An array of NumPy 1.22 or later, with the two fields that npyffi leaves out. Python 3.11 has no older NumPy.
#[repr(C)]
struct Object {
    head: PyObject,
    fields: PyArrayObject_fields,
    buffer_info: *mut c_void,
    handler: *mut PyObject,
}

/// Whether there can be arrays at all.
pub(crate) fn is_imported(py: Python<'_>) -> PyResult<bool> {
    // Once there it stays: its extension module cannot be unloaded.
    static LOADED: AtomicBool = AtomicBool::new(false);
    if LOADED.load(Ordering::Relaxed) {
        return Ok(true);
    }
    let loaded = imported(py, "numpy._core.multiarray")?.is_some()
        || imported(py, "numpy.core.multiarray")?.is_some();
    LOADED.store(loaded, Ordering::Relaxed);
    Ok(loaded)
}

/// The first byte of an array, and whether the memory is its own; `None` for another object.
/// Only where NumPy is imported, which is not asked again here since this is asked of every variable.
pub(crate) fn glance(object: &Bound<'_, PyAny>) -> Option<(usize, bool)> {
    let fields = fields(object.cast::<PyUntypedArray>().ok()?);
    Some((fields.address, fields.base.is_none()))
}

/// From the lowest to behind the highest byte of an array's items, and whose memory that is, unless it is the array's own;
/// `None` for another object. Only where NumPy is imported.
pub(crate) fn bounds<'py>(object: &Bound<'py, PyAny>) -> Option<(Span, Option<Bound<'py, PyAny>>)> {
    let array = object.cast::<PyUntypedArray>().ok()?;
    let fields = fields(array);
    let axes = array.shape().iter().zip(array.strides());
    let axes = axes.map(|(&count, &stride)| (count, stride));
    let bounds = spans::bounds(fields.address, array.dtype().itemsize(), axes);
    Some((bounds, fields.base))
}

/// Whether it is one of NumPy's scalars (`np.float64(1)`), as sums and items of arrays are.
pub(crate) fn is_scalar(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    let Some(numpy) = imported(object.py(), "numpy")? else {
        return Ok(false);
    };
    let generic = numpy.getattr("generic")?;
    object.get_type().is_subclass(&generic)
}

/// Reads an object if it is an array, of any subclass.
pub(crate) fn read<'py>(object: &Bound<'py, PyAny>) -> PyResult<Option<Array<'py>>> {
    if !is_imported(object.py())? {
        return Ok(None);
    }
    let Ok(array) = object.cast::<PyUntypedArray>() else {
        return Ok(None);
    };
    let dtype = array.dtype();
    let fields = fields(array);
    Ok(Some(Array {
        layout: Layout {
            address: fields.address,
            shape: array.shape().to_vec(),
            strides: array.strides().to_vec(),
            item: dtype.itemsize(),
        },
        dtype: dtype.into_any(),
        base: fields.base,
        writeable: fields.flags & flags::NPY_ARRAY_WRITEABLE != 0,
        c_contiguous: array.is_c_contiguous(),
        f_contiguous: array.is_fortran_contiguous(),
        allocator: handler_name(fields.handler),
    }))
}

/// The objects that an array of objects holds, each with its place in C order, NULL for `None`, and whether it has one axis;
/// nothing of another array. Only where NumPy is imported.
#[allow(unsafe_code, reason = "the items are plain pointers")]
pub(crate) fn objects(object: &Bound<'_, PyAny>) -> Option<(Vec<(usize, *mut PyObject)>, bool)> {
    let array = object.cast::<PyUntypedArray>().ok()?;
    if array.dtype().kind() != b'O' || !(array.is_c_contiguous() || lies_in_its_owner(object)) {
        return None;
    }
    let first = fields(array).address;
    let item = |(place, offset): (usize, isize)| {
        let address = first.wrapping_add_signed(offset);
        let item = std::ptr::with_exposed_provenance::<*mut PyObject>(address);
        // SAFETY: an array of objects has a pointer there, NULL or a reference that it or its owner holds: it has no gaps, or
        // lies in the memory of its owner, which has such pointers only.
        (place, unsafe { item.read_unaligned() })
    };
    let items = offsets(array.shape(), array.strides());
    Some((items.into_iter().map(item).collect(), array.ndim() == 1))
}

/// Whether all items lie in the memory of the array that owns them; strides that somebody made up may lead elsewhere.
fn lies_in_its_owner(object: &Bound<'_, PyAny>) -> bool {
    let Some((own, mut base)) = bounds(object) else {
        return false;
    };
    let mut whole = own;
    while let Some(owner) = base {
        let is_objects = |array: &Bound<'_, PyUntypedArray>| array.dtype().kind() == b'O';
        if !owner.cast::<PyUntypedArray>().is_ok_and(is_objects) {
            return false;
        }
        let Some(next) = bounds(&owner) else {
            return false;
        };
        (whole, base) = next;
    }
    own.intersection(whole) == own
}

/// The place of each item in C order, and how many bytes behind the first one it lies; one of those that lie at the same
/// address along an axis.
fn offsets(shape: &[usize], strides: &[isize]) -> Vec<(usize, isize)> {
    let mut found = vec![(0, 0)];
    for (&count, &stride) in shape.iter().zip(strides) {
        let steps = if stride == 0 { count.min(1) } else { count };
        let along = |(place, offset): (usize, isize)| {
            (0..steps).map(move |step| (place * count + step, offset + step.cast_signed() * stride))
        };
        found = found.into_iter().flat_map(along).collect();
    }
    found
}

struct Fields<'py> {
    address: usize,
    base: Option<Bound<'py, PyAny>>,
    flags: i32,
    handler: *mut PyObject,
}

#[allow(
    unsafe_code,
    reason = "rust-numpy gives these fields only through the raw structure"
)]
fn fields<'py>(array: &Bound<'py, PyUntypedArray>) -> Fields<'py> {
    // SAFETY: the pointer belongs to a live array, whose structure NumPy keeps while we hold a reference and the GIL.
    let raw = unsafe { &*array.as_array_ptr().cast::<Object>() };
    // SAFETY: `base` is null or a reference that the array owns, and so outlives this borrow of it.
    let base = unsafe { Bound::from_borrowed_ptr_or_opt(array.py(), raw.fields.base) };
    Fields {
        address: raw.fields.data.addr(),
        base,
        flags: raw.fields.flags,
        handler: raw.handler,
    }
}

#[allow(unsafe_code, reason = "the allocator's name is in a capsule")]
fn handler_name(capsule: *mut PyObject) -> Option<String> {
    // SAFETY: the pointer is null or a capsule that the array owns; what a capsule of this name holds is a handler, and
    // its name ends with a zero.
    unsafe {
        if capsule.is_null() || ffi::PyCapsule_IsValid(capsule, HANDLER.as_ptr()) == 0 {
            return None;
        }
        let handler: *const DataMemHandler =
            ffi::PyCapsule_GetPointer(capsule, HANDLER.as_ptr()).cast();
        let name = CStr::from_ptr((&raw const (*handler).name).cast());
        Some(name.to_string_lossy().into_owned())
    }
}
