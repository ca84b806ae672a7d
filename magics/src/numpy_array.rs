//! The fields of NumPy's array structure that its Python attributes do not give without building objects.
//!
//! The only unsafe code of this crate. NumPy is never imported here: an object can only be an array once it is.

use numpy::{PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::prelude::*;

use diaphane_sight::spans::Layout;

use crate::python::imported;

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
}

/// Whether there can be arrays at all.
pub(crate) fn is_imported(py: Python<'_>) -> PyResult<bool> {
    Ok(imported(py, "numpy._core.multiarray")?.is_some()
        || imported(py, "numpy.core.multiarray")?.is_some())
}

/// The first byte of an array, and whether the memory is its own; `None` for another object.
/// Only where NumPy is imported, which is not asked again here since this is asked of every variable.
pub(crate) fn glance(object: &Bound<'_, PyAny>) -> Option<(usize, bool)> {
    let (address, base, _) = fields(object.cast::<PyUntypedArray>().ok()?);
    Some((address, base.is_none()))
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
    let (address, base, flags) = fields(array);
    Ok(Some(Array {
        layout: Layout {
            address,
            shape: array.shape().to_vec(),
            strides: array.strides().to_vec(),
            item: dtype.itemsize(),
        },
        dtype: dtype.into_any(),
        base,
        writeable: flags & numpy::npyffi::flags::NPY_ARRAY_WRITEABLE != 0,
        c_contiguous: array.is_c_contiguous(),
        f_contiguous: array.is_fortran_contiguous(),
    }))
}

#[allow(
    unsafe_code,
    reason = "rust-numpy gives these fields only through the raw structure"
)]
fn fields<'py>(array: &Bound<'py, PyUntypedArray>) -> (usize, Option<Bound<'py, PyAny>>, i32) {
    // SAFETY: the pointer belongs to a live array, whose structure NumPy keeps while we hold a reference and the GIL.
    let raw = unsafe { &(*array.as_array_ptr()).fields };
    // SAFETY: `base` is null or a reference that the array owns, and so outlives this borrow of it.
    let base = unsafe { Bound::from_borrowed_ptr_or_opt(array.py(), raw.base) };
    (raw.data.addr(), base, raw.flags)
}
