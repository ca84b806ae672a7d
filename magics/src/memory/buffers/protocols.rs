//! The two general ways to export memory: Python's buffer protocol, and the dictionary `__array_interface__`.

use diaphane_sight::proc::spans::Layout;
use pyo3::buffer::PyUntypedBuffer;
use pyo3::exceptions::{PyBufferError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyMemoryView};

use super::{Buffer, Export, chain, plain_attribute};

/// The buffer protocol; an object without it raises a `TypeError`.
pub(super) fn exported<'py>(object: &Bound<'py, PyAny>) -> PyResult<Option<Buffer<'py>>> {
    let py = object.py();
    let export = match PyUntypedBuffer::get(object) {
        Err(error) if error.is_instance_of::<PyTypeError>(py) => return Ok(None),
        // An exporter such as ctypes leaves out the strides of a dense buffer; a memoryview fills them in.
        Err(error) if error.is_instance_of::<PyBufferError>(py) => {
            PyUntypedBuffer::get(PyMemoryView::from(object)?.as_any())?
        }
        export => export?,
    };
    let layout = checked(Layout {
        address: export.buf_ptr().addr(),
        shape: export.shape().to_vec(),
        strides: export.strides().to_vec(),
        item: export.item_size(),
    })?;
    Ok(Some(Buffer {
        dtype: export.format().to_string_lossy().into_owned(),
        writeable: !export.readonly(),
        c_contiguous: export.is_c_contiguous(),
        f_contiguous: export.is_fortran_contiguous(),
        chain: chain(object)?,
        _export: Some(Export::Buffer(export)),
        ..Buffer::new(object, layout)
    }))
}

/// The dictionary of NumPy's array interface, version 3.
pub(super) fn interface<'py>(object: &Bound<'py, PyAny>) -> PyResult<Option<Buffer<'py>>> {
    let Some(about) = plain_attribute(object, "__array_interface__")? else {
        return Ok(None);
    };
    let about = about.cast_into::<PyDict>()?;
    let field = |name: &str| {
        about
            .get_item(name)
            .map(|value| value.filter(|value| !value.is_none()))
    };
    let required =
        |name: &str| field(name)?.ok_or_else(|| PyTypeError::new_err(format!("no {name:?} in it")));
    let (address, read_only): (usize, bool) = required("data")?.extract()?;
    let shape: Vec<usize> = required("shape")?.extract()?;
    let dtype: String = required("typestr")?.extract()?;
    let item = item_size(&dtype)
        .ok_or_else(|| PyTypeError::new_err(format!("unknown typestr {dtype:?}")))?;
    let strides = match field("strides")? {
        Some(strides) => strides.extract()?,
        None => dense_strides(&shape, item),
    };
    let layout = checked(Layout {
        address,
        shape,
        strides,
        item,
    })?;
    Ok(Some(Buffer {
        dtype,
        writeable: !read_only,
        ..Buffer::new(object, layout)
    }))
}

/// A layout from outside, which may lie: refused if it could not be in any memory.
pub(super) fn checked(layout: Layout) -> PyResult<Layout> {
    if layout.shape.len() != layout.strides.len() {
        return Err(PyTypeError::new_err(
            "its shape and strides differ in length",
        ));
    }
    let reach = |&(count, stride): &(usize, isize)| {
        (count.saturating_sub(1)).checked_mul(stride.unsigned_abs())
    };
    let axes: Vec<_> = layout
        .shape
        .iter()
        .copied()
        .zip(layout.strides.iter().copied())
        .collect();
    let (up, down): (Vec<_>, Vec<_>) = axes.iter().partition(|(_, stride)| *stride >= 0);
    let sum = |axes: &[(usize, isize)]| {
        axes.iter()
            .try_fold(0usize, |sum, axis| sum.checked_add(reach(axis)?))
    };
    let items = layout
        .shape
        .iter()
        .try_fold(1usize, |items, &count| items.checked_mul(count));
    let bytes = items.and_then(|items| items.checked_mul(layout.item));
    let high = sum(&up).and_then(|up| layout.address.checked_add(up)?.checked_add(layout.item));
    let low = sum(&down).and_then(|down| layout.address.checked_sub(down));
    let is_empty = layout.shape.contains(&0);
    match (bytes, high, low) {
        (Some(_), Some(_), Some(_)) => Ok(layout),
        _ if is_empty => Ok(layout),
        _ => Err(PyValueError::new_err(
            "its shape and strides reach beyond the address space",
        )),
    }
}

/// The size in a type string such as `<f8`; letters of text take four bytes.
fn item_size(typestr: &str) -> Option<usize> {
    let size: usize = typestr.get(2..)?.parse().ok()?;
    size.checked_mul(if typestr.as_bytes()[1] == b'U' { 4 } else { 1 })
}

/// The strides of items in C order without gaps.
pub(super) fn dense_strides(shape: &[usize], item: usize) -> Vec<isize> {
    let mut strides = vec![0; shape.len()];
    let mut step = item;
    for (stride, count) in strides.iter_mut().zip(shape).rev() {
        *stride = step.cast_signed();
        step = step.saturating_mul(*count);
    }
    strides
}

/// Whether the items lie without gaps in C order, and in Fortran order. The stride of a single item says nothing.
pub(super) fn contiguity(layout: &Layout) -> (bool, bool) {
    if layout.shape.contains(&0) {
        return (true, true);
    }
    let axes = layout
        .shape
        .iter()
        .copied()
        .zip(layout.strides.iter().copied());
    let axes: Vec<(usize, isize)> = axes.collect();
    (
        is_dense(layout.item, axes.iter().rev()),
        is_dense(layout.item, axes.iter()),
    )
}

fn is_dense<'a>(item: usize, mut axes: impl Iterator<Item = &'a (usize, isize)>) -> bool {
    let mut step = item;
    axes.all(|&(count, stride)| {
        let fits = count == 1 || usize::try_from(stride) == Ok(step);
        step = step.saturating_mul(count);
        fits
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(shape: &[usize], strides: &[isize]) -> Layout {
        Layout {
            address: 1 << 20,
            shape: shape.to_vec(),
            strides: strides.to_vec(),
            item: 8,
        }
    }

    #[test]
    fn sizes_of_type_strings() {
        assert_eq!(item_size("<f8"), Some(8));
        assert_eq!(item_size("<U5"), Some(20));
        assert_eq!(item_size("|V16"), Some(16));
        assert_eq!(item_size("f"), None);
        assert_eq!(item_size("<fx"), None);
    }

    #[test]
    fn strides_of_c_order() {
        assert_eq!(dense_strides(&[2, 3, 4], 8), [96, 32, 8]);
        assert_eq!(dense_strides(&[], 8), [0isize; 0]);
    }

    #[test]
    fn orders_without_gaps() {
        assert_eq!(contiguity(&layout(&[2, 3], &[24, 8])), (true, false));
        assert_eq!(contiguity(&layout(&[2, 3], &[8, 16])), (false, true));
        assert_eq!(contiguity(&layout(&[1, 3], &[999, 8])), (true, true));
        assert_eq!(contiguity(&layout(&[3], &[-8])), (false, false));
        assert_eq!(contiguity(&layout(&[0, 3], &[1, 1])), (true, true));
        assert_eq!(contiguity(&layout(&[], &[])), (true, true));
    }

    #[test]
    fn a_layout_that_cannot_be_is_refused() {
        let far = isize::MAX;
        assert!(checked(layout(&[usize::MAX, 2], &[8, 8])).is_err());
        assert!(checked(layout(&[5], &[far])).is_err());
        assert!(checked(layout(&[3], &[-(1 << 20)])).is_err());
        assert!(checked(layout(&[3], &[8, 8])).is_err());
        assert!(checked(layout(&[0], &[far])).is_ok());
        assert!(checked(layout(&[3], &[-8])).is_ok());
    }
}
