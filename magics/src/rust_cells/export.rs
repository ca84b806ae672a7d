//! What a cell borrows: variables of Python's as values that Rust can work on where they are.

mod arrays;
mod isolated;

use std::any::Any;

use diaphane_cell::abi::{Arg, Kind};
use diaphane_rust_protocol::{Bind, Form};
use numpy::{Complex64, PyUntypedArray};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyComplex, PyComplexMethods, PyFloat, PyInt, PyString};

use arrays::export_array;

use super::kept::Borrowed;
use crate::error::Error;
use crate::magic::User;
use crate::python::objects::type_name;
use diaphane_report::spelling::did_you_mean;

/// All that a cell borrows. It holds the borrows and the objects as long as it lives.
pub struct Exports<'py> {
    /// The types.
    pub binds: Vec<Bind>,
    values: Vec<ExportedValue<'py>>,
}

/// A value, and what keeps it where it is.
struct ExportedValue<'py> {
    kind: Kind,
    /// Whether the cell may write to it.
    mutable: bool,
    data: *mut u8,
    shape: Vec<usize>,
    strides: Vec<isize>,
    _holds: Vec<Box<dyn Holds + 'py>>,
}

/// What is kept.
trait Holds {}
impl<T> Holds for T {}

/// A variable that the line names.
pub struct NamedVariable<'a> {
    pub name: &'a str,
    pub mutable: bool,
}

impl<'py> Exports<'py> {
    /// Looks the variables up.
    pub fn gather(
        wanted: &[NamedVariable<'_>],
        slices: bool,
        user: User<'_, 'py>,
    ) -> Result<Self, Error> {
        let mut exports = Self {
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
            let (value, form) = export(&object, one, slices)?;
            exports.binds.push(Bind {
                name: one.name.to_owned(),
                rust: value.kind.rust().to_owned(),
                form,
                mutable: one.mutable,
            });
            exports.values.push(value);
        }
        Ok(exports)
    }

    /// Adds a variable that a cell before has kept.
    pub fn add_kept(&mut self, borrowed: Borrowed) {
        self.values.push(ExportedValue {
            kind: Kind::Nothing,
            data: std::ptr::with_exposed_provenance_mut(borrowed.data()),
            shape: Vec::new(),
            strides: Vec::new(),
            mutable: false,
            _holds: vec![Box::new(borrowed)],
        });
    }

    /// Exports what a function is called with, if it is what the function takes.
    pub fn for_call(parameters: &[Bind], objects: &[Bound<'py, PyAny>]) -> Result<Self, Error> {
        let mut exports = Self {
            binds: Vec::new(),
            values: Vec::new(),
        };
        for (parameter, object) in parameters.iter().zip(objects) {
            let value = match parameter.form {
                Form::Number => number_of(object, &parameter.rust)?,
                _ => export_parameter(object, parameter)?,
            };
            exports.values.push(value);
        }
        Ok(exports)
    }

    /// The values as the cell gets them, which live no longer than this.
    pub fn args(&self) -> Vec<Arg> {
        let arg = |value: &ExportedValue<'_>| Arg {
            kind: value.kind,
            ndim: value.shape.len() as u32,
            data: value.data,
            shape: value.shape.as_ptr(),
            strides: value.strides.as_ptr(),
        };
        self.values.iter().map(arg).collect()
    }
}

/// A number of the type that a function takes; Python says what is wrong with one that does not fit.
fn number_of<'py>(object: &Bound<'py, PyAny>, rust: &str) -> Result<ExportedValue<'py>, Error> {
    let (value, _) = match rust {
        "bool" => number(Kind::Bool, object.extract::<bool>()?),
        "i8" => number(Kind::I8, object.extract::<i8>()?),
        "i16" => number(Kind::I16, object.extract::<i16>()?),
        "i32" => number(Kind::I32, object.extract::<i32>()?),
        "i64" => number(Kind::I64, object.extract::<i64>()?),
        "u8" => number(Kind::U8, object.extract::<u8>()?),
        "u16" => number(Kind::U16, object.extract::<u16>()?),
        "u32" => number(Kind::U32, object.extract::<u32>()?),
        "u64" => number(Kind::U64, object.extract::<u64>()?),
        "f32" => number(Kind::F32, object.extract::<f32>()?),
        _ => number(Kind::F64, object.extract::<f64>()?),
    };
    Ok(value)
}

/// An array, a text or bytes, if it is just what a function takes.
fn export_parameter<'py>(
    object: &Bound<'py, PyAny>,
    parameter: &Bind,
) -> Result<ExportedValue<'py>, Error> {
    let wanted = NamedVariable {
        name: &parameter.name,
        mutable: parameter.mutable,
    };
    let (value, form) = export(object, &wanted, parameter.form == Form::Slice)
        .map_err(|error| Error::Python(PyTypeError::new_err(plain_words(&error))))?;
    let is_text = parameter.form == Form::Text && form == Form::Text;
    if is_text || (form == parameter.form && value.kind.rust() == parameter.rust) {
        return Ok(value);
    }
    Err(Error::Python(PyTypeError::new_err(format!(
        "{}: {}, and the function takes {}",
        parameter.name,
        described(value.kind.rust(), form),
        described(&parameter.rust, parameter.form)
    ))))
}

/// An error without the name of the magic, which a caller of a function does not know.
fn plain_words(error: &Error) -> String {
    let words = error.to_string();
    words.trim_start_matches("%%rust: ").to_owned()
}

pub fn described(rust: &str, form: Form) -> String {
    match form {
        Form::Number => format!("a number ({rust})"),
        Form::Text => "a str".to_owned(),
        Form::Slice => format!("an array of {rust} without gaps"),
        Form::View(rank) => format!("an array of {rust} with {rank} dimensions"),
    }
}

fn refuse(name: &str, why: &str) -> Error {
    Error::Usage(format!("%%rust: {name}: {why}"))
}

fn export<'py>(
    object: &Bound<'py, PyAny>,
    wanted: &NamedVariable<'_>,
    slices: bool,
) -> Result<(ExportedValue<'py>, Form), Error> {
    if crate::numpy::arrays::is_imported(object.py())?
        && let Ok(array) = object.cast::<PyUntypedArray>()
    {
        return export_array(array, wanted, slices);
    }
    if wanted.mutable {
        return Err(refuse(
            wanted.name,
            &format!(
                "a value of type {} cannot be changed in place; give it with -i, and hand a result over with -o",
                type_name(object)
            ),
        ));
    }
    export_scalar(object, wanted.name)
}

/// Numbers, texts and bytes, of Python's own types and NumPy's that are made from them.
fn export_scalar<'py>(
    object: &Bound<'py, PyAny>,
    name: &str,
) -> Result<(ExportedValue<'py>, Form), Error> {
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
        return export_scalar(&object.call_method0("item")?, name);
    }
    Err(refuse(
        name,
        &format!(
            "a value of type {} has no form in Rust; numbers, str, bytes and NumPy arrays of numbers have one",
            type_name(object)
        ),
    ))
}

fn integer<'py>(
    object: &Bound<'py, PyAny>,
    name: &str,
) -> Result<(ExportedValue<'py>, Form), Error> {
    if let Ok(value) = object.extract::<i64>() {
        return Ok(number(Kind::I64, value));
    }
    match object.extract::<u64>() {
        Ok(value) => Ok(number(Kind::U64, value)),
        Err(_) => Err(refuse(name, "the number has more than 64 bits")),
    }
}

fn is_numpy_scalar(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    if !crate::numpy::arrays::is_imported(object.py())? {
        return Ok(false);
    }
    let generic = object.py().import("numpy")?.getattr("generic")?;
    object.is_instance(&generic)
}

/// A number, in memory of its own.
fn number<'py, T: 'static>(kind: Kind, value: T) -> (ExportedValue<'py>, Form) {
    let held = Box::new(value);
    let data = (&raw const *held).cast_mut().cast();
    let value = ExportedValue {
        kind,
        mutable: false,
        data,
        shape: Vec::new(),
        strides: Vec::new(),
        _holds: vec![Box::new(held as Box<dyn Any>)],
    };
    (value, Form::Number)
}

/// Bytes where they are.
fn bytes<'py>(object: &Bound<'py, PyAny>, kind: Kind, data: &[u8]) -> ExportedValue<'py> {
    ExportedValue {
        kind,
        mutable: false,
        data: data.as_ptr().cast_mut(),
        shape: vec![data.len()],
        strides: vec![1],
        _holds: vec![Box::new(object.clone())],
    }
}
