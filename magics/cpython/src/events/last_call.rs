//! The number of the call that began last, so that its end is known without a search or a lock.
//!
//! A callable is alive from the beginning of its call to the end, and whatever takes its address later begins a call of
//! its own before it can end one. So equal addresses are the same callable.

use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use pyo3::ffi::PyObject;

/// A call. Only who holds the GIL touches it.
pub struct Call {
    callable: AtomicPtr<PyObject>,
    number: AtomicU32,
}

impl Call {
    pub const fn none() -> Self {
        Self {
            callable: AtomicPtr::new(ptr::null_mut()),
            number: AtomicU32::new(0),
        }
    }

    /// A call begins; without a number, its end is to be searched.
    pub fn begins(&self, callable: *mut PyObject, number: Option<u32>) {
        self.number.store(number.unwrap_or(0), Ordering::Relaxed);
        let callable = number.map_or(ptr::null_mut(), |_| callable);
        self.callable.store(callable, Ordering::Relaxed);
    }

    /// The number, if it was this callable's call.
    pub fn number(&self, callable: *mut PyObject) -> Option<u32> {
        let is_it = self.callable.load(Ordering::Relaxed) == callable;
        is_it.then(|| self.number.load(Ordering::Relaxed))
    }

    /// Numbers are given anew.
    pub fn forget(&self) {
        self.begins(ptr::null_mut(), None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_the_last_call_is_known() {
        let call = Call::none();
        let (one, two) = (16 as *mut PyObject, 32 as *mut PyObject);
        assert_eq!(call.number(one), None);
        call.begins(one, Some(7));
        assert_eq!((call.number(one), call.number(two)), (Some(7), None));
        call.begins(two, Some(8));
        assert_eq!((call.number(one), call.number(two)), (None, Some(8)));
        call.begins(one, None);
        assert_eq!((call.number(one), call.number(two)), (None, None));
        call.begins(one, Some(0));
        call.forget();
        assert_eq!(call.number(one), None);
    }
}
