//! DLPack: how array libraries export memory to each other, by a capsule around a C struct.
//!
//! Whoever takes the struct out of the capsule renames it and calls the struct's deleter when done.

use std::ffi::{CStr, c_void};
use std::ptr::NonNull;

use diaphane_sight::proc::spans::Layout;
use pyo3::exceptions::{PyBufferError, PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyCapsuleMethods};

use super::protocols::{checked, dense_strides};
use super::{Buffer, Export};
use crate::python::objects::type_name;
use diaphane_cpython::modules::imported;

/// `DLDevice`: memory of the CPU, or pinned or managed memory that the CPU can read.
const OF_THIS_PROCESS: [i32; 4] = [1, 3, 11, 13];

/// `DLTensor`.
#[repr(C)]
struct Header {
    data: *mut c_void,
    device: i32,
    device_id: i32,
    ndim: i32,
    code: u8,
    bits: u8,
    lanes: u16,
    shape: *const i64,
    strides: *const i64,
    byte_offset: u64,
}

/// `DLManagedTensor`, which ends with the function that gives it back.
#[repr(C)]
struct Managed {
    header: Header,
    context: *mut c_void,
    deleter: Option<unsafe extern "C" fn(*mut Managed)>,
}

/// A tensor that was exported to us.
pub(super) struct Tensor(NonNull<Managed>);

/// A tensor of torch, which is asked although nobody named it: its answers are no user's code.
pub(super) fn torch_tensor<'py>(object: &Bound<'py, PyAny>) -> PyResult<Option<Buffer<'py>>> {
    let Some(torch) = imported(object.py(), "torch")? else {
        return Ok(None);
    };
    let Some(class) = torch.getattr_opt("Tensor")? else {
        return Ok(None);
    };
    if !object.get_type().is_subclass(&class)? {
        return Ok(None);
    }
    // A tensor that records gradients exports its memory only without them.
    let plain = object.call_method0("detach")?;
    Ok(tensor(&plain)?.map(|buffer| Buffer {
        object: object.clone(),
        ..buffer
    }))
}

/// Anything whose type has `__dlpack__`.
pub(super) fn tensor<'py>(object: &Bound<'py, PyAny>) -> PyResult<Option<Buffer<'py>>> {
    if !object.get_type().hasattr("__dlpack__")? {
        return Ok(None);
    }
    let (device, _): (i32, i32) = object.call_method0("__dlpack_device__")?.extract()?;
    if !OF_THIS_PROCESS.contains(&device) {
        return Err(PyBufferError::new_err(format!(
            "its memory is on a device (DLPack's number {device}), and not in this process"
        )));
    }
    let tensor = Tensor::take(&object.call_method0("__dlpack__")?)?;
    let (layout, dtype) = tensor.layout()?;
    Ok(Some(Buffer {
        kind: type_name(object),
        dtype,
        // Version 0 of the struct, which everybody gives who is asked without a version, has no word for read-only.
        writeable: true,
        _export: Some(Export::Tensor(tensor)),
        ..Buffer::new(object, layout)
    }))
}

#[allow(unsafe_code, reason = "DLPack is a C struct")]
impl Tensor {
    /// Takes the tensor out of its capsule.
    fn take(capsule: &Bound<'_, PyAny>) -> PyResult<Self> {
        const FULL: &CStr = c"dltensor";
        const TAKEN: &CStr = c"used_dltensor";
        let capsule = capsule.cast::<PyCapsule>()?;
        let managed = capsule
            .pointer_checked(Some(FULL))
            .map_err(|_| PyTypeError::new_err("__dlpack__ gave no full capsule \"dltensor\""))?;
        // SAFETY: the capsule is alive, and the name is static.
        if unsafe { ffi::PyCapsule_SetName(capsule.as_ptr(), TAKEN.as_ptr()) } != 0 {
            return Err(PyErr::fetch(capsule.py()));
        }
        Ok(Self(managed.cast()))
    }

    fn header(&self) -> &Header {
        // SAFETY: the struct behind a capsule of this name is ours until its deleter is called, in `drop`.
        unsafe { &self.0.as_ref().header }
    }

    fn layout(&self) -> PyResult<(Layout, String)> {
        let header = self.header();
        let bits = usize::from(header.bits) * usize::from(header.lanes);
        if !bits.is_multiple_of(8) {
            return Err(PyValueError::new_err("its items are no whole bytes"));
        }
        let axes = usize::try_from(header.ndim)
            .ok()
            .filter(|&axes| axes <= 64)
            .ok_or_else(|| PyValueError::new_err("its number of axes cannot be"))?;
        let shape = self
            .numbers(header.shape, axes)
            .iter()
            .map(|&count| usize::try_from(count))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| PyValueError::new_err("its shape cannot be"))?;
        let item = bits / 8;
        let strides = match header.strides.is_null() {
            true => dense_strides(&shape, item),
            false => self
                .numbers(header.strides, axes)
                .iter()
                .map(|&step| (step as isize).saturating_mul(item.cast_signed()))
                .collect(),
        };
        let layout = checked(Layout {
            address: header.data.addr().wrapping_add(header.byte_offset as usize),
            shape,
            strides,
            item,
        })?;
        Ok((layout, dtype(header)))
    }

    fn numbers(&self, first: *const i64, count: usize) -> &[i64] {
        if first.is_null() || count == 0 {
            return &[];
        }
        // SAFETY: the struct says that `ndim` numbers lie there as long as it lives.
        unsafe { std::slice::from_raw_parts(first, count) }
    }
}

#[allow(unsafe_code, reason = "DLPack is a C struct")]
impl Drop for Tensor {
    fn drop(&mut self) {
        // SAFETY: the tensor was taken from its capsule, so that this is the one call of its deleter. A `Tensor` lives in
        // a `Buffer` beside references to Python objects, and so is dropped by a thread that holds the GIL.
        unsafe {
            if let Some(deleter) = self.0.as_ref().deleter {
                deleter(self.0.as_ptr());
            }
        }
    }
}

/// The kind of items in NumPy's words.
fn dtype(header: &Header) -> String {
    let kind = match header.code {
        0 => "int",
        1 => "uint",
        2 => "float",
        4 => "bfloat",
        5 => "complex",
        6 => return "bool".into(),
        _ => "opaque",
    };
    let lanes = match header.lanes {
        1 => String::new(),
        lanes => format!("x{lanes}"),
    };
    format!("{kind}{}{lanes}", header.bits)
}
