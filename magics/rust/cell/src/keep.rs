//! Variables that outlive their cell. They stay where they are, in a box whose owner is the kernel.

use std::any::Any;
use std::ffi::c_void;
use std::panic::{self, AssertUnwindSafe};
use std::ptr;

use crate::Cell;
use crate::abi::{Gift, Kind};

unsafe extern "C" fn free<T>(owner: *mut c_void) {
    // SAFETY: the owner is a box of this type, and is freed once.
    let owner = unsafe { Box::from_raw(owner.cast::<T>()) };
    // A destructor of the user's may panic, and the kernel has nothing to do with that.
    if let Err(payload) = panic::catch_unwind(AssertUnwindSafe(|| drop(owner))) {
        std::mem::forget(payload);
    }
}

impl Cell<'_> {
    /// Gives a variable to the kernel, from which later cells borrow it. They may run on other threads.
    pub fn keep<T: Any + Send>(&self, number: u32, value: T) {
        let owner = Box::into_raw(Box::new(value));
        let gift = Gift {
            kind: Kind::Nothing,
            ndim: 0,
            data: owner.cast(),
            shape: ptr::null(),
            strides: ptr::null(),
            owner: owner.cast(),
            free: Some(free::<T>),
        };
        // SAFETY: the kernel gives a function that takes these.
        unsafe { ((*self.ctx.calls).put)(self.ctx.host, number, &raw const gift) }
    }

    /// A variable that an earlier cell has kept.
    ///
    /// # Safety
    ///
    /// The value must be one of this type, which nobody else uses; it may be asked for once.
    #[must_use]
    #[allow(clippy::mut_from_ref, reason = "each value is asked for once")]
    pub unsafe fn kept<T: Any>(&self, number: u32) -> &mut T {
        // SAFETY: the caller says so.
        unsafe { &mut *self.arg(number).data.cast::<T>() }
    }
}
