//! What a cell is lent: variables of Python's as values that Rust can work on where they are.

use std::any::Any;

use diaphane_cell::abi::{Arg, Kind};
use diaphane_rust_protocol::{Bind, Form};
use numpy::{
    Complex32, Complex64, Element, PyArrayDescr, PyArrayDescrMethods, PyArrayDyn, PyArrayMethods,
    PyUntypedArray, PyUntypedArrayMethods,
};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyComplex, PyComplexMethods, PyFloat, PyInt, PyString};

use crate::args::did_you_mean;
use crate::numpy_array;
use crate::{Error, User};

/// All that a cell is lent. It holds the borrows and the objects as long as it lives.
pub struct Lent<'py> {
    /// The types.
    pub binds: Vec<Bind>,
    values: Vec<Value<'py>>,
}

/// A value, and what keeps it where it is.
struct Value<'py> {
    kind: Kind,
    data: *mut u8,
    shape: Vec<usize>,
    strides: Vec<isize>,
    _holds: Vec<Box<dyn Holds + 'py>>,
}

/// What is kept.
trait Holds {}
impl<T> Holds for T {}

/// A variable that the line names.
pub struct Wanted<'a> {
    pub name: &'a str,
    pub mutable: bool,
}

impl<'py> Lent<'py> {
    /// Looks the variables up.
    pub fn gather(wanted: &[Wanted<'_>], slices: bool, user: User<'_, 'py>) -> Result<Self, Error> {
        let mut lent = Self {
            binds: Vec::new(),
            values: Vec::new(),
        };
        for one in wanted {
            let Some(object) = user.namespace.get_item(one.name)? else {
                let keys = user.namespace.keys();
                let names: Vec<String> = keys.iter().filter_map(|key| key.extract().ok()).collect();
                let meant = did_you_mean(one.name, names.iter().map(String::as_str));
                return Err(refuse(
                    one.name,
                    &format!("there is no variable of this name{meant}"),
                ));
            };
            let (value, form) = lend(&object, one, slices)?;
            lent.binds.push(Bind {
                name: one.name.to_owned(),
                rust: value.kind.rust().to_owned(),
                form,
                mutable: one.mutable,
            });
            lent.values.push(value);
        }
        Ok(lent)
    }

    /// The values as the cell gets them, which live no longer than this.
    pub fn args(&self) -> Vec<Arg> {
        let arg = |value: &Value<'_>| Arg {
            kind: value.kind,
            ndim: value.shape.len() as u32,
            data: value.data,
            shape: value.shape.as_ptr(),
            strides: value.strides.as_ptr(),
        };
        self.values.iter().map(arg).collect()
    }
}

fn refuse(name: &str, why: &str) -> Error {
    Error::Usage(format!("%%rust: {name}: {why}"))
}

fn lend<'py>(
    object: &Bound<'py, PyAny>,
    wanted: &Wanted<'_>,
    slices: bool,
) -> Result<(Value<'py>, Form), Error> {
    if numpy_array::is_imported(object.py())?
        && let Ok(array) = object.cast::<PyUntypedArray>()
    {
        return lend_array(array, wanted, slices);
    }
    if wanted.mutable {
        return Err(refuse(
            wanted.name,
            &format!(
                "{} cannot be changed in place; give it with -i, and hand a result over with -o",
                type_name(object)
            ),
        ));
    }
    lend_scalar(object, wanted.name)
}

fn type_name(object: &Bound<'_, PyAny>) -> String {
    let name = object.get_type().name();
    let name = name.map(|name| name.to_string_lossy().into_owned());
    let name = name.unwrap_or_else(|_| "this object".to_owned());
    format!("a value of type {name}")
}

/// Numbers, texts and bytes, of Python's own types and NumPy's that are made from them.
fn lend_scalar<'py>(object: &Bound<'py, PyAny>, name: &str) -> Result<(Value<'py>, Form), Error> {
    if let Ok(text) = object.cast::<PyString>() {
        let text = text
            .to_str()
            .map_err(|_| refuse(name, "its text is no Unicode"))?;
        return Ok((bytes(object, Kind::Text, text.as_bytes()), Form::Text));
    }
    if let Ok(data) = object.cast::<PyBytes>() {
        return Ok((bytes(object, Kind::U8, data.as_bytes()), Form::Slice));
    }
    if let Ok(truth) = object.cast::<PyBool>() {
        return Ok(number(Kind::Bool, truth.is_true()));
    }
    if object.is_instance_of::<PyInt>() {
        return integer(object, name);
    }
    if let Ok(value) = object.cast::<PyFloat>() {
        return Ok(number(Kind::F64, value.value()));
    }
    if let Ok(value) = object.cast::<PyComplex>() {
        return Ok(number(
            Kind::Complex64,
            Complex64::new(value.real(), value.imag()),
        ));
    }
    if is_numpy_scalar(object)? {
        return lend_scalar(&object.call_method0("item")?, name);
    }
    Err(refuse(
        name,
        &format!(
            "{} has no form in Rust; numbers, str, bytes and NumPy arrays of numbers have one",
            type_name(object)
        ),
    ))
}

fn integer<'py>(object: &Bound<'py, PyAny>, name: &str) -> Result<(Value<'py>, Form), Error> {
    if let Ok(value) = object.extract::<i64>() {
        return Ok(number(Kind::I64, value));
    }
    match object.extract::<u64>() {
        Ok(value) => Ok(number(Kind::U64, value)),
        Err(_) => Err(refuse(name, "the number has more than 64 bits")),
    }
}

fn is_numpy_scalar(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    if !numpy_array::is_imported(object.py())? {
        return Ok(false);
    }
    let generic = object.py().import("numpy")?.getattr("generic")?;
    object.is_instance(&generic)
}

/// A number, in memory of its own.
fn number<'py, T: 'static>(kind: Kind, value: T) -> (Value<'py>, Form) {
    let held = Box::new(value);
    let data = (&raw const *held).cast_mut().cast();
    let value = Value {
        kind,
        data,
        shape: Vec::new(),
        strides: Vec::new(),
        _holds: vec![Box::new(held as Box<dyn Any>)],
    };
    (value, Form::Number)
}

/// Bytes where they are.
fn bytes<'py>(object: &Bound<'py, PyAny>, kind: Kind, data: &[u8]) -> Value<'py> {
    Value {
        kind,
        data: data.as_ptr().cast_mut(),
        shape: vec![data.len()],
        strides: vec![1],
        _holds: vec![Box::new(object.clone())],
    }
}

fn lend_array<'py>(
    array: &Bound<'py, PyUntypedArray>,
    wanted: &Wanted<'_>,
    slices: bool,
) -> Result<(Value<'py>, Form), Error> {
    let name = wanted.name;
    let array = &plain(array)?;
    let kind = kind_of(&array.dtype()).map_err(|why| refuse(name, &why))?;
    let read = numpy_array::read(array.as_any())?;
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
            "--slices needs an array without gaps; numpy.ascontiguousarray makes a copy",
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
    let value = Value {
        kind,
        data: std::ptr::with_exposed_provenance_mut(read.layout.address),
        shape: read.layout.shape,
        strides: read.layout.strides,
        _holds: vec![borrow, Box::new(array.clone())],
    };
    Ok((value, form))
}

/// Times are lent as the numbers that they are, in the same memory.
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

/// Borrows an array from all that uses the flags of rust-numpy, so that no memory is lent to be written to twice.
fn borrow<'py>(
    array: &Bound<'py, PyUntypedArray>,
    kind: Kind,
    wanted: &Wanted<'_>,
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
    wanted: &Wanted<'_>,
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
            "its memory is lent already, and one of the two may be written to; give a copy of one",
        )
    })
}
