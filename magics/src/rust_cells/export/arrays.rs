//! Arrays of NumPy as they are borrowed: which can be, and who else may use them meanwhile.

use diaphane_cell::abi::Kind;
use diaphane_rust_protocol::Form;
use numpy::{
    Complex32, Complex64, Element, PyArrayDescr, PyArrayDescrMethods, PyArrayDyn, PyArrayMethods,
    PyUntypedArray, PyUntypedArrayMethods,
};
use pyo3::prelude::*;

use super::{ExportedValue, Holds, NamedVariable, refuse};
use crate::error::Error;
use crate::numpy::arrays;

/// Exports an array.
pub fn export_array<'py>(
    array: &Bound<'py, PyUntypedArray>,
    wanted: &NamedVariable<'_>,
    slices: bool,
) -> Result<(ExportedValue<'py>, Form), Error> {
    let name = wanted.name;
    let array = &plain(array)?;
    let kind = kind_of(&array.dtype()).map_err(|why| refuse(name, &why))?;
    let read = arrays::read(array.as_any())?;
    let read = read.ok_or_else(|| refuse(name, "it is no array"))?;
    if wanted.mutable && !read.writeable {
        return Err(refuse(
            name,
            "the array is read-only; give it with -i, or a copy with -m",
        ));
    }
    let align = kind.size().min(8) / if kind == Kind::Complex32 { 2 } else { 1 };
    let item = kind.size().cast_signed();
    if read.layout.address % align != 0
        || read.layout.strides.iter().any(|stride| stride % item != 0)
    {
        return Err(refuse(
            name,
            "its items are not aligned as Rust needs it; numpy.require(a, requirements=\"A\") makes a copy that is",
        ));
    }
    if slices && !read.c_contiguous {
        return Err(refuse(
            name,
            "a slice needs an array without gaps; numpy.ascontiguousarray makes a copy",
        ));
    }
    if wanted.mutable && may_overlap(&read.layout.shape, &read.layout.strides) {
        return Err(refuse(
            name,
            "some of its items share memory; give a copy with -m",
        ));
    }
    if kind == Kind::Bool {
        check_truths(array, name)?;
    }
    let borrow = borrow(array, kind, wanted)?;
    let form = if slices {
        Form::Slice
    } else {
        Form::View(read.layout.shape.len())
    };
    let value = ExportedValue {
        kind,
        mutable: wanted.mutable,
        data: std::ptr::with_exposed_provenance_mut(read.layout.address),
        shape: read.layout.shape,
        strides: read.layout.strides,
        _holds: vec![borrow, Box::new(array.clone())],
    };
    Ok((value, form))
}

/// Times are borrowed as the numbers that they are, in the same memory.
fn plain<'py>(array: &Bound<'py, PyUntypedArray>) -> PyResult<Bound<'py, PyUntypedArray>> {
    if matches!(array.dtype().kind(), b'M' | b'm')
        && array.dtype().is_native_byteorder() != Some(false)
    {
        let numbers = array.call_method1("view", ("i8",))?;
        return Ok(numbers.cast_into::<PyUntypedArray>()?);
    }
    Ok(array.clone())
}

fn kind_of(dtype: &Bound<'_, PyArrayDescr>) -> Result<Kind, String> {
    if dtype.is_native_byteorder() == Some(false) {
        return Err(
            "its bytes are in the other order; a.astype(a.dtype.newbyteorder(\"=\")) makes a copy"
                .into(),
        );
    }
    Ok(match (dtype.kind(), dtype.itemsize()) {
        (b'b', 1) => Kind::Bool,
        (b'i', 1) => Kind::I8,
        (b'i', 2) => Kind::I16,
        (b'i', 4) => Kind::I32,
        (b'i', 8) => Kind::I64,
        (b'u', 1) => Kind::U8,
        (b'u', 2) => Kind::U16,
        (b'u', 4) => Kind::U32,
        (b'u', 8) => Kind::U64,
        (b'f', 4) => Kind::F32,
        (b'f', 8) => Kind::F64,
        (b'c', 8) => Kind::Complex32,
        (b'c', 16) => Kind::Complex64,
        (b'O', _) => {
            return Err("its items are Python objects, which Rust cells never touch".into());
        }
        (b'f', 2) => {
            return Err(
                "Rust has no stable type for float16; a.astype(\"f4\") makes a copy".into(),
            );
        }
        (b'f' | b'c', _) => {
            return Err("Rust has no type for long double; a.astype(\"f8\") makes a copy".into());
        }
        (b'S' | b'U' | b'T', _) => {
            return Err("its items are texts; only arrays of numbers have a form in Rust".into());
        }
        _ => {
            return Err(
                "its items are records; give the fields one by one, as x = a[\"x\"]".into(),
            );
        }
    })
}

/// Whether items of an array may share memory. It may say so wrongly of strange strides, and never the other way round.
fn may_overlap(shape: &[usize], strides: &[isize]) -> bool {
    if shape.contains(&0) {
        return false;
    }
    let mut axes: Vec<_> = shape
        .iter()
        .zip(strides)
        .filter(|(len, _)| **len > 1)
        .map(|(len, stride)| (stride.unsigned_abs(), *len))
        .collect();
    axes.sort_unstable();
    let mut reach = 0;
    for (stride, len) in axes {
        if stride <= reach {
            return true;
        }
        reach += stride * (len - 1);
    }
    false
}

/// A truth value of Rust's is 0 or 1, and nothing else may be there.
fn check_truths(array: &Bound<'_, PyUntypedArray>, name: &str) -> Result<(), Error> {
    if array.is_empty() {
        return Ok(());
    }
    let largest = array.call_method1("view", ("u1",))?.call_method0("max")?;
    if largest.extract::<u64>()? > 1 {
        return Err(refuse(
            name,
            "some of its truth values are neither 0 nor 1; a.view(\"u1\") gives the bytes",
        ));
    }
    Ok(())
}

/// Borrows an array from all that uses the flags of rust-numpy, so that no memory is borrowed to be written to twice.
fn borrow<'py>(
    array: &Bound<'py, PyUntypedArray>,
    kind: Kind,
    wanted: &NamedVariable<'_>,
) -> Result<Box<dyn Holds + 'py>, Error> {
    match kind {
        Kind::Bool => hold::<bool>(array, wanted),
        Kind::I8 => hold::<i8>(array, wanted),
        Kind::I16 => hold::<i16>(array, wanted),
        Kind::I32 => hold::<i32>(array, wanted),
        Kind::I64 => hold::<i64>(array, wanted),
        Kind::U8 => hold::<u8>(array, wanted),
        Kind::U16 => hold::<u16>(array, wanted),
        Kind::U32 => hold::<u32>(array, wanted),
        Kind::U64 => hold::<u64>(array, wanted),
        Kind::F32 => hold::<f32>(array, wanted),
        Kind::F64 => hold::<f64>(array, wanted),
        Kind::Complex32 => hold::<Complex32>(array, wanted),
        Kind::Complex64 => hold::<Complex64>(array, wanted),
        Kind::Text | Kind::Bytes | Kind::Nothing => Ok(Box::new(())),
    }
}

fn hold<'py, T: Element + 'static>(
    array: &Bound<'py, PyUntypedArray>,
    wanted: &NamedVariable<'_>,
) -> Result<Box<dyn Holds + 'py>, Error> {
    let array = array.cast::<PyArrayDyn<T>>().map_err(PyErr::from)?;
    let held: Result<Box<dyn Holds + 'py>, _> = if wanted.mutable {
        array.try_readwrite().map(|held| Box::new(held) as _)
    } else {
        array.try_readonly().map(|held| Box::new(held) as _)
    };
    held.map_err(|_| {
        refuse(
            wanted.name,
            "its memory is borrowed already, and one of the two may be written to; give a copy of one",
        )
    })
}
