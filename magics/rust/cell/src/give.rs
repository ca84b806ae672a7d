//! The way of results to Python. Memory of a `Vec` or an `Array` is handed over as it is; the rest is copied.

use std::ffi::c_void;
use std::ptr;

use crate::abi::{Gift, Kind};
use crate::{Cell, Element};

/// What can be handed to Python.
pub trait Give {
    /// Calls with the gift. Whoever is called takes its owner over, or copies.
    fn give(self, take: &mut dyn FnMut(&Gift));
}

impl Cell<'_> {
    /// Hands a value to Python as the result of this number.
    pub fn put(&self, number: u32, value: impl Give) {
        value.give(&mut |gift| {
            // SAFETY: the kernel gives a function that takes these.
            unsafe { ((*self.ctx.calls).put)(self.ctx.host, number, gift) }
        });
    }
}

/// Bytes lie side by side.
static ONE: isize = 1;

/// Gives so many bytes, which are copied.
fn copy(kind: Kind, bytes: &[u8], take: &mut dyn FnMut(&Gift)) {
    let len = bytes.len();
    take(&Gift {
        kind,
        ndim: 1,
        data: bytes.as_ptr().cast_mut(),
        shape: &raw const len,
        strides: &raw const ONE,
        owner: ptr::null_mut(),
        free: None,
    });
}

impl Give for () {
    fn give(self, take: &mut dyn FnMut(&Gift)) {
        number(Kind::Nothing, ptr::null(), take);
    }
}

impl Give for String {
    fn give(self, take: &mut dyn FnMut(&Gift)) {
        copy(Kind::Text, self.as_bytes(), take);
    }
}

impl Give for &str {
    fn give(self, take: &mut dyn FnMut(&Gift)) {
        copy(Kind::Text, self.as_bytes(), take);
    }
}

impl<T: Give> Give for Option<T> {
    fn give(self, take: &mut dyn FnMut(&Gift)) {
        match self {
            Some(value) => value.give(take),
            None => ().give(take),
        }
    }
}

/// Gives one value, which is copied.
fn number(kind: Kind, data: *const u8, take: &mut dyn FnMut(&Gift)) {
    take(&Gift {
        kind,
        ndim: 0,
        data: data.cast_mut(),
        shape: ptr::null(),
        strides: ptr::null(),
        owner: ptr::null_mut(),
        free: None,
    });
}

macro_rules! numbers {
    ($($rust:ty),*) => {
        $(
            impl Give for $rust {
                fn give(self, take: &mut dyn FnMut(&Gift)) {
                    number(<$rust as Element>::KIND, ptr::from_ref(&self).cast(), take);
                }
            }

            impl Give for &$rust {
                fn give(self, take: &mut dyn FnMut(&Gift)) {
                    (*self).give(take);
                }
            }
        )*
    };
}

numbers!(bool, i8, i16, i32, i64, u8, u16, u32, u64, f32, f64);

#[cfg(feature = "ndarray")]
numbers!(num_complex::Complex<f32>, num_complex::Complex<f64>);

// Rust's own sizes have the width of the machine.
impl Give for usize {
    fn give(self, take: &mut dyn FnMut(&Gift)) {
        (self as u64).give(take);
    }
}

impl Give for isize {
    fn give(self, take: &mut dyn FnMut(&Gift)) {
        (self as i64).give(take);
    }
}

unsafe extern "C" fn free<T>(owner: *mut c_void) {
    // SAFETY: the owner is a box of this type, and is freed once.
    drop(unsafe { Box::from_raw(owner.cast::<T>()) });
}

impl<T: Element> Give for Vec<T> {
    fn give(self, take: &mut dyn FnMut(&Gift)) {
        let shape = self.len();
        let stride = size_of::<T>().cast_signed();
        let mut owner = Box::new(self);
        take(&Gift {
            kind: T::KIND,
            ndim: 1,
            data: owner.as_mut_ptr().cast(),
            shape: &raw const shape,
            strides: &raw const stride,
            owner: Box::into_raw(owner).cast(),
            free: Some(free::<Self>),
        });
    }
}

#[cfg(feature = "ndarray")]
impl<T: Element, D: ndarray::Dimension> Give for ndarray::Array<T, D> {
    fn give(self, take: &mut dyn FnMut(&Gift)) {
        let shape = self.shape().to_vec();
        let size = size_of::<T>().cast_signed();
        let strides: Vec<isize> = self.strides().iter().map(|items| items * size).collect();
        let mut owner = Box::new(self);
        take(&Gift {
            kind: T::KIND,
            ndim: shape.len() as u32,
            data: owner.as_mut_ptr().cast(),
            shape: shape.as_ptr(),
            strides: strides.as_ptr(),
            owner: Box::into_raw(owner).cast(),
            free: Some(free::<Self>),
        });
    }
}
