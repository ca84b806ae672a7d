//! The values that a cell borrows.

use std::slice;

use crate::abi::{Arg, Ctx, Kind};

/// One run of a cell. What it borrows lives as long as the run, so nothing of it can be kept.
#[derive(Debug)]
pub struct Cell<'a> {
    pub(crate) ctx: &'a Ctx,
}

/// A type whose values lie in Python's arrays as they do in Rust's.
///
/// # Safety
///
/// The kind must have the same size and layout.
pub unsafe trait Element: Copy + Send + Sync + 'static {
    /// Its kind.
    const KIND: Kind;
}

macro_rules! elements {
    ($($rust:ty => $kind:ident),* $(,)?) => {
        $(
            // SAFETY: the kind is described as this type.
            unsafe impl Element for $rust {
                const KIND: Kind = Kind::$kind;
            }
        )*
    };
}

elements! {
    bool => Bool, i8 => I8, i16 => I16, i32 => I32, i64 => I64, u8 => U8, u16 => U16, u32 => U32, u64 => U64,
    f32 => F32, f64 => F64,
}

#[cfg(feature = "ndarray")]
elements! { num_complex::Complex<f32> => Complex32, num_complex::Complex<f64> => Complex64 }

impl<'a> Cell<'a> {
    pub(crate) fn arg(&self, number: u32) -> &'a Arg {
        assert!(number < self.ctx.nargs, "the cell was given fewer values");
        // SAFETY: the kernel gives so many values, which live as long as the run.
        unsafe { &*self.ctx.args.add(number as usize) }
    }

    /// The items of an array without gaps.
    ///
    /// # Safety
    ///
    /// The value must be such an array of this type, which nobody writes to.
    #[must_use]
    pub unsafe fn slice<T: Element>(&self, number: u32) -> &[T] {
        let arg = self.arg(number);
        // SAFETY: the caller says so.
        unsafe { slice::from_raw_parts(arg.data.cast(), items(arg)) }
    }

    /// The items of an array without gaps, to write to.
    ///
    /// # Safety
    ///
    /// The value must be such an array of this type, which nobody else uses; it may be asked for once.
    #[must_use]
    #[allow(clippy::mut_from_ref, reason = "each value is asked for once")]
    pub unsafe fn slice_mut<T: Element>(&self, number: u32) -> &mut [T] {
        let arg = self.arg(number);
        // SAFETY: the caller says so.
        unsafe { slice::from_raw_parts_mut(arg.data.cast(), items(arg)) }
    }

    /// A number or a truth value.
    ///
    /// # Safety
    ///
    /// The value must be of this type.
    #[must_use]
    pub unsafe fn number<T: Element>(&self, number: u32) -> T {
        // SAFETY: the caller says so; the kernel need not align it.
        unsafe { self.arg(number).data.cast::<T>().read_unaligned() }
    }

    /// A text.
    ///
    /// # Safety
    ///
    /// The value must be one.
    #[must_use]
    pub unsafe fn text(&self, number: u32) -> &str {
        // SAFETY: the caller says so, and a text is UTF-8.
        unsafe { str::from_utf8_unchecked(self.slice(number)) }
    }
}

/// How many items an array has.
fn items(arg: &Arg) -> usize {
    if arg.ndim == 0 {
        return 1;
    }
    // SAFETY: there are so many numbers as dimensions.
    let shape = unsafe { slice::from_raw_parts(arg.shape, arg.ndim as usize) };
    shape.iter().product()
}
