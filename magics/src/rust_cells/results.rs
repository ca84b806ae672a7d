//! What a cell hands over and what it displays, on its way to Python.

#![allow(unsafe_code, reason = "the cell calls back with raw pointers")]

use std::ffi::c_void;
use std::ptr;
use std::slice;

use diaphane_cell::abi::{ABI, Arg, Ctx, Gift, Host, Kind, Text};
use numpy::npyffi::{PY_ARRAY_API, flags};
use numpy::{Complex32, Complex64, PyArrayDescr, PyArrayDescrMethods};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyComplex, PyString};

use super::guard::INTERRUPTED;
use super::redirect::{DisplayBundle, Redirect};
use crate::error::Error;

/// What a run has handed over so far. The cell's calls find it by its address.
#[derive(Default)]
pub struct CellResults {
    /// The results, by number.
    pub results: Vec<(u32, CellResult)>,
    /// What is displayed.
    pub shown: Vec<DisplayBundle>,
    /// Descriptor 1, while a value displays itself by writing there.
    pub redirect: Option<Redirect>,
    /// The words of a panic or an error, and the line in the generated source.
    pub failure: (String, u32),
}

/// A result.
pub struct CellResult {
    pub kind: Kind,
    pub shape: Vec<usize>,
    pub strides: Vec<isize>,
    pub memory: ResultMemory,
}

/// Where a result's items are.
pub enum ResultMemory {
    /// Copied here.
    Copy(Vec<u8>),
    /// Where the cell made them.
    OfCell { data: usize, owner: ResultOwner },
}

/// Memory of a cell's, freed by the cell's library, on any thread.
#[pyclass(name = "RustMemory", module = "diaphane", frozen)]
pub struct ResultOwner {
    owner: usize,
    free: unsafe extern "C" fn(*mut c_void),
}

impl ResultOwner {
    /// The owner of memory, and what frees it, once and on any thread.
    pub fn new(owner: *mut c_void, free: unsafe extern "C" fn(*mut c_void)) -> Self {
        Self {
            owner: owner.expose_provenance(),
            free,
        }
    }
}

impl Drop for ResultOwner {
    fn drop(&mut self) {
        // SAFETY: the cell gave both, and this is the one call.
        unsafe { (self.free)(ptr::with_exposed_provenance_mut(self.owner)) }
    }
}

impl CellResults {
    /// One run of a cell with these values, which hands over to this.
    pub fn context(&mut self, args: &[Arg], calls: &'static Host) -> Ctx {
        Ctx {
            abi: ABI,
            nargs: args.len() as u32,
            args: args.as_ptr(),
            host: ptr::from_mut(self).cast(),
            calls,
            interrupted: &raw const INTERRUPTED,
        }
    }
}

/// The functions that a cell gets.
pub const HOST: Host = Host {
    put,
    show,
    display,
    fail,
};

unsafe extern "C" fn put(host: *mut c_void, number: u32, gift: *const Gift) {
    // SAFETY: the cell gives back what it was given, on the thread that runs it.
    let taken = unsafe { &mut *host.cast::<CellResults>() };
    // SAFETY: the cell gives one.
    let gift = unsafe { &*gift };
    taken.results.push((number, result(gift)));
}

unsafe extern "C" fn show(host: *mut c_void, kind: Text, text: Text) {
    // SAFETY: as in `put`.
    let taken = unsafe { &mut *host.cast::<CellResults>() };
    taken.shown.push(vec![(string(kind), string(text))]);
}

unsafe extern "C" fn display(host: *mut c_void, begins: bool) {
    // SAFETY: as in `put`.
    let taken = unsafe { &mut *host.cast::<CellResults>() };
    if begins {
        taken.redirect = Redirect::begin();
    } else if let Some(redirect) = taken.redirect.take() {
        taken.shown.push(redirect.end());
    }
}

unsafe extern "C" fn fail(host: *mut c_void, words: Text, line: u32) {
    // SAFETY: as in `put`.
    let taken = unsafe { &mut *host.cast::<CellResults>() };
    taken.failure = (string(words), line);
}

fn string(text: Text) -> String {
    // SAFETY: the cell gives a text that lives during the call.
    let bytes = unsafe { slice::from_raw_parts(text.data, text.len) };
    String::from_utf8_lossy(bytes).into_owned()
}

fn result(gift: &Gift) -> CellResult {
    let rank = gift.ndim as usize;
    let (shape, strides) = if rank == 0 {
        (Vec::new(), Vec::new())
    } else {
        // SAFETY: the cell gives so many numbers.
        let shape = unsafe { slice::from_raw_parts(gift.shape, rank) };
        // SAFETY: as above.
        let strides = unsafe { slice::from_raw_parts(gift.strides, rank) };
        (shape.to_vec(), strides.to_vec())
    };
    let memory = match gift.free {
        Some(free) => ResultMemory::OfCell {
            data: gift.data.expose_provenance(),
            owner: ResultOwner::new(gift.owner, free),
        },
        None => {
            let len = shape.iter().product::<usize>() * gift.kind.size();
            let bytes: &[u8] = if len == 0 {
                &[]
            } else {
                // SAFETY: what has no owner is so many bytes that live during the call.
                unsafe { slice::from_raw_parts(gift.data, len) }
            };
            ResultMemory::Copy(bytes.to_vec())
        }
    };
    CellResult {
        kind: gift.kind,
        shape,
        strides,
        memory,
    }
}

impl CellResult {
    /// As an object of Python's.
    pub fn into_python(self, py: Python<'_>) -> Result<Bound<'_, PyAny>, Error> {
        match self.memory {
            ResultMemory::Copy(bytes) => Ok(scalar(py, self.kind, &bytes)?),
            ResultMemory::OfCell { data, owner } => Ok(array(
                py,
                self.kind,
                &self.shape,
                &self.strides,
                data,
                owner,
            )?),
        }
    }
}

/// The first so many bytes of a value.
fn head<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut head = [0; N];
    let len = N.min(bytes.len());
    head[..len].copy_from_slice(&bytes[..len]);
    head
}

fn scalar<'py>(py: Python<'py>, kind: Kind, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let half = bytes.len() / 2;
    Ok(match kind {
        Kind::Nothing => py.None().into_bound(py),
        Kind::Text => PyString::new(py, &String::from_utf8_lossy(bytes)).into_any(),
        Kind::Bytes => PyBytes::new(py, bytes).into_any(),
        Kind::Bool => (bytes.first() == Some(&1))
            .into_pyobject(py)?
            .to_owned()
            .into_any(),
        Kind::I8 => i8::from_ne_bytes(head(bytes)).into_pyobject(py)?.into_any(),
        Kind::I16 => i16::from_ne_bytes(head(bytes))
            .into_pyobject(py)?
            .into_any(),
        Kind::I32 => i32::from_ne_bytes(head(bytes))
            .into_pyobject(py)?
            .into_any(),
        Kind::I64 => i64::from_ne_bytes(head(bytes))
            .into_pyobject(py)?
            .into_any(),
        Kind::U8 => u8::from_ne_bytes(head(bytes)).into_pyobject(py)?.into_any(),
        Kind::U16 => u16::from_ne_bytes(head(bytes))
            .into_pyobject(py)?
            .into_any(),
        Kind::U32 => u32::from_ne_bytes(head(bytes))
            .into_pyobject(py)?
            .into_any(),
        Kind::U64 => u64::from_ne_bytes(head(bytes))
            .into_pyobject(py)?
            .into_any(),
        Kind::F32 => f32::from_ne_bytes(head(bytes))
            .into_pyobject(py)?
            .into_any(),
        Kind::F64 => f64::from_ne_bytes(head(bytes))
            .into_pyobject(py)?
            .into_any(),
        Kind::Complex32 => PyComplex::from_doubles(
            py,
            f32::from_ne_bytes(head(&bytes[..half])).into(),
            f32::from_ne_bytes(head(&bytes[half..])).into(),
        )
        .into_any(),
        Kind::Complex64 => PyComplex::from_doubles(
            py,
            f64::from_ne_bytes(head(&bytes[..half])),
            f64::from_ne_bytes(head(&bytes[half..])),
        )
        .into_any(),
    })
}

fn dtype(py: Python<'_>, kind: Kind) -> Bound<'_, PyArrayDescr> {
    match kind {
        Kind::Bool => numpy::dtype::<bool>(py),
        Kind::I8 => numpy::dtype::<i8>(py),
        Kind::I16 => numpy::dtype::<i16>(py),
        Kind::I32 => numpy::dtype::<i32>(py),
        Kind::I64 => numpy::dtype::<i64>(py),
        Kind::U8 | Kind::Text | Kind::Bytes | Kind::Nothing => numpy::dtype::<u8>(py),
        Kind::U16 => numpy::dtype::<u16>(py),
        Kind::U32 => numpy::dtype::<u32>(py),
        Kind::U64 => numpy::dtype::<u64>(py),
        Kind::F32 => numpy::dtype::<f32>(py),
        Kind::F64 => numpy::dtype::<f64>(py),
        Kind::Complex32 => numpy::dtype::<Complex32>(py),
        Kind::Complex64 => numpy::dtype::<Complex64>(py),
    }
}

/// An array over the cell's memory, which lives as long as the array and its views.
fn array<'py>(
    py: Python<'py>,
    kind: Kind,
    shape: &[usize],
    strides: &[isize],
    data: usize,
    owner: ResultOwner,
) -> PyResult<Bound<'py, PyAny>> {
    // NumPy writes what is wrong about them as an error, and keeps none of them.
    let mut shape: Vec<isize> = shape.iter().map(|len| len.cast_signed()).collect();
    let mut strides = strides.to_vec();
    let dtype = dtype(py, kind).into_dtype_ptr();
    // SAFETY: NumPy's own type object lives as long as NumPy.
    let class =
        unsafe { numpy::npyffi::get_type_object(py, numpy::npyffi::NpyTypes::PyArray_Type) };
    // SAFETY: the memory holds items of this type, shape and strides; the reference to the dtype is given away.
    let array = unsafe {
        PY_ARRAY_API.PyArray_NewFromDescr(
            py,
            class,
            dtype,
            shape.len() as i32,
            shape.as_mut_ptr(),
            strides.as_mut_ptr(),
            ptr::with_exposed_provenance_mut(data),
            flags::NPY_ARRAY_WRITEABLE,
            ptr::null_mut(),
        )
    };
    // SAFETY: it is null with an exception, or a new reference.
    let array = unsafe { Bound::from_owned_ptr_or_err(py, array)? };
    let owner = Bound::new(py, owner)?.into_any().into_ptr();
    // SAFETY: the array is one that nobody else has, and the reference to the owner is given away.
    let failed = unsafe { PY_ARRAY_API.PyArray_SetBaseObject(py, array.as_ptr().cast(), owner) };
    if failed < 0 {
        Err(PyErr::fetch(py))
    } else {
        Ok(array)
    }
}
