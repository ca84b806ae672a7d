//! Finds the memory behind a Python object: NumPy's structure, pandas' blocks, the buffer protocol, or an
//! `__array_interface__`, in this order.
//!
//! It asks objects for their memory and never for their text. What an object raises while it is asked is told as the
//! reason why it shows no buffer.

use diaphane_sight::spans::Layout;
use pyo3::buffer::PyUntypedBuffer;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyMemoryView, PyString, PyTuple};

use crate::numpy_array;
use crate::python::imported;

/// The memory that an object lends.
pub(crate) struct Buffer<'py> {
    /// The name of the object's type.
    pub kind: String,
    /// The kind of its items: NumPy's words, or a format of the `struct` module.
    pub dtype: String,
    /// Where the items lie.
    pub layout: Layout,
    /// Whether items may be assigned.
    pub writeable: bool,
    /// Whether the items lie in C order without gaps.
    pub c_contiguous: bool,
    /// Whether the items lie in Fortran order without gaps.
    pub f_contiguous: bool,
    /// The object at the end of the chain of views; the object itself if it is no view.
    pub owner: Bound<'py, PyAny>,
    /// Keeps the exporter from moving its memory while we look.
    _export: Option<PyUntypedBuffer>,
}

/// A buffer with the part of the object it belongs to, or the reason why there is none.
pub(crate) struct Found<'py> {
    /// What to write behind the name of the object; empty for the object as a whole.
    pub part: String,
    /// The buffer.
    pub buffer: Result<Buffer<'py>, String>,
}

/// Asks an object. One that the user named always gets an answer, and may be asked in ways that run its own code.
pub(crate) fn of<'py>(object: &Bound<'py, PyAny>, named: bool) -> Vec<Found<'py>> {
    let whole = |buffer| {
        vec![Found {
            part: String::new(),
            buffer,
        }]
    };
    match ask(object, named) {
        Ok(Asked::Whole(buffer)) => whole(Ok(buffer)),
        Ok(Asked::Parts(parts)) => parts,
        Ok(Asked::Nothing) if named => whole(Err(format!(
            "{} lends no memory (no buffer protocol, no __array_interface__)",
            type_name(object)
        ))),
        Ok(Asked::Nothing) => Vec::new(),
        Err(error) => whole(Err(words(object.py(), &error))),
    }
}

enum Asked<'py> {
    Whole(Buffer<'py>),
    Parts(Vec<Found<'py>>),
    Nothing,
}

fn ask<'py>(object: &Bound<'py, PyAny>, named: bool) -> PyResult<Asked<'py>> {
    if let Some(array) = array(object)? {
        return Ok(Asked::Whole(array));
    }
    if let Some(parts) = blocks(object)? {
        return Ok(Asked::Parts(parts));
    }
    if let Some(buffer) = exported(object)? {
        return Ok(Asked::Whole(buffer));
    }
    let interface = if named { interface(object)? } else { None };
    Ok(interface.map_or(Asked::Nothing, Asked::Whole))
}

fn array<'py>(object: &Bound<'py, PyAny>) -> PyResult<Option<Buffer<'py>>> {
    let Some(array) = numpy_array::read(object)? else {
        return Ok(None);
    };
    Ok(Some(Buffer {
        kind: type_name(object),
        dtype: array.dtype.str()?.to_string_lossy().into_owned(),
        layout: array.layout,
        writeable: array.writeable,
        c_contiguous: array.c_contiguous,
        f_contiguous: array.f_contiguous,
        owner: owner(object)?,
        _export: None,
    }))
}

/// Follows views to the object that the memory belongs to.
fn owner<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let mut owner = object.clone();
    // NumPy and memoryview shorten chains themselves, so that a long one is a sign of a loop.
    for _ in 0..64 {
        let next = match numpy_array::read(&owner)? {
            Some(array) => array.base,
            None if owner.is_instance_of::<PyMemoryView>() => {
                owner.getattr("obj").ok().filter(|base| !base.is_none())
            }
            None => None,
        };
        match next {
            Some(base) => owner = base,
            None => break,
        }
    }
    Ok(owner)
}

/// The buffer protocol; an object without it raises a `TypeError`.
fn exported<'py>(object: &Bound<'py, PyAny>) -> PyResult<Option<Buffer<'py>>> {
    let export = match PyUntypedBuffer::get(object) {
        Err(error) if error.is_instance_of::<PyTypeError>(object.py()) => return Ok(None),
        export => export?,
    };
    Ok(Some(Buffer {
        kind: type_name(object),
        dtype: export.format().to_string_lossy().into_owned(),
        layout: Layout {
            address: export.buf_ptr().addr(),
            shape: export.shape().to_vec(),
            strides: export.strides().to_vec(),
            item: export.item_size(),
        },
        writeable: !export.readonly(),
        c_contiguous: export.is_c_contiguous(),
        f_contiguous: export.is_fortran_contiguous(),
        owner: owner(object)?,
        _export: Some(export),
    }))
}

/// The dictionary of NumPy's array interface, version 3.
fn interface<'py>(object: &Bound<'py, PyAny>) -> PyResult<Option<Buffer<'py>>> {
    let Some(about) = object.getattr_opt("__array_interface__")? else {
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
    let dense = dense_strides(&shape, item);
    let strides = match field("strides")? {
        Some(strides) => strides.extract()?,
        None => dense.clone(),
    };
    if strides.len() != shape.len() {
        return Err(PyTypeError::new_err(
            "its shape and strides differ in length",
        ));
    }
    let fortran: Vec<usize> = shape.iter().rev().copied().collect();
    let fortran: Vec<isize> = dense_strides(&fortran, item).into_iter().rev().collect();
    Ok(Some(Buffer {
        kind: type_name(object),
        c_contiguous: strides == dense,
        f_contiguous: strides == fortran,
        dtype,
        layout: Layout {
            address,
            shape,
            strides,
            item,
        },
        writeable: !read_only,
        owner: object.clone(),
        _export: None,
    }))
}

/// The size in a type string such as `<f8`; letters of text take four bytes.
fn item_size(typestr: &str) -> Option<usize> {
    let size: usize = typestr.get(2..)?.parse().ok()?;
    size.checked_mul(if typestr.as_bytes()[1] == b'U' { 4 } else { 1 })
}

fn dense_strides(shape: &[usize], item: usize) -> Vec<isize> {
    let mut strides = vec![0; shape.len()];
    let mut step = item;
    for (stride, count) in strides.iter_mut().zip(shape).rev() {
        *stride = step.cast_signed();
        step = step.saturating_mul(*count);
    }
    strides
}

/// The arrays of a pandas Series or DataFrame. pandas is never imported here.
fn blocks<'py>(object: &Bound<'py, PyAny>) -> PyResult<Option<Vec<Found<'py>>>> {
    let Some(pandas) = imported(object.py(), "pandas")? else {
        return Ok(None);
    };
    let is = |class: &str| match pandas.getattr_opt(class)? {
        Some(class) => object.get_type().is_subclass(&class),
        None => Ok(false),
    };
    let labels = match (is("DataFrame")?, is("Series")?) {
        (true, _) => Some(
            object
                .getattr("columns")?
                .try_iter()?
                .collect::<PyResult<Vec<_>>>()?,
        ),
        (false, true) => None,
        (false, false) => return Ok(None),
    };
    let mut found = Vec::new();
    for block in object.getattr("_mgr")?.getattr("blocks")?.try_iter()? {
        let block = block?;
        let part = match &labels {
            Some(labels) => columns(&block, labels)?,
            None => String::new(),
        };
        found.extend(
            held(&block.getattr("values")?, &part)?
                .into_iter()
                .map(|(part, buffer)| Found {
                    part,
                    buffer: buffer.map(|buffer| Buffer {
                        kind: type_name(object),
                        ..buffer
                    }),
                }),
        );
    }
    Ok(Some(found))
}

/// The names of the columns that a block holds, such as `[a, b, +3]`.
fn columns(block: &Bound<'_, PyAny>, labels: &[Bound<'_, PyAny>]) -> PyResult<String> {
    const LISTED: usize = 2;
    let places: Vec<usize> = block
        .getattr("mgr_locs")?
        .try_iter()?
        .map(|place| place?.extract())
        .collect::<PyResult<_>>()?;
    // A label may be any object; only text is its own text.
    let name = |place: &usize| match labels.get(*place).map(|label| label.cast::<PyString>()) {
        Some(Ok(label)) => label.to_string_lossy().into_owned(),
        _ => format!("column {place}"),
    };
    let mut names: Vec<String> = places.iter().take(LISTED).map(name).collect();
    if places.len() > LISTED {
        names.push(format!("+{}", places.len() - LISTED));
    }
    Ok(format!("[{}]", names.join(", ")))
}

type Held<'py> = Vec<(String, Result<Buffer<'py>, String>)>;

/// The array that a block is, or the arrays that pandas' own kinds of array are made of.
fn held<'py>(values: &Bound<'py, PyAny>, part: &str) -> PyResult<Held<'py>> {
    if let Some(buffer) = array(values)? {
        return Ok(vec![(part.to_owned(), Ok(buffer))]);
    }
    let mut arrays = Held::new();
    for field in ["_ndarray", "_data", "_mask"] {
        if let Some(value) = values.getattr_opt(field)?
            && let Some(buffer) = array(&value)?
        {
            arrays.push((
                format!("{part}{}", if field == "_mask" { ".mask" } else { "" }),
                Ok(buffer),
            ));
        }
    }
    if arrays.is_empty() {
        arrays.push((
            part.to_owned(),
            Err(format!("{} shows no array of its own", type_name(values))),
        ));
    }
    Ok(arrays)
}

/// The name of an object's type, which is a field of the type and runs no code of it.
pub(crate) fn type_name(object: &Bound<'_, PyAny>) -> String {
    object.get_type().name().map_or_else(
        |_| "object".into(),
        |name| name.to_string_lossy().into_owned(),
    )
}

/// An exception in words, without its `__str__`.
fn words(py: Python<'_>, error: &PyErr) -> String {
    let value = error.value(py);
    let arguments = value
        .getattr("args")
        .and_then(|args| Ok(args.cast_into::<PyTuple>()?));
    let first = arguments.and_then(|args| Ok(args.get_item(0)?.cast_into::<PyString>()?));
    let kind = type_name(value);
    first.map_or(kind.clone(), |message| {
        format!("{kind}: {}", message.to_string_lossy())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
