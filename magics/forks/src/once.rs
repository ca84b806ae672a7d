//! A value that is made once, in whatever process asks first.

use std::fmt;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// A value that is made when it is first asked for, and lives as long as this does.
///
/// Unlike with a `OnceLock`, nobody waits for somebody who makes it, since a child process would wait for a thread that
/// it does not have. Where several threads are first, each makes one, and one of them is kept.
pub struct ForkOnce<T>(AtomicPtr<T>);

impl<T: Send + Sync> ForkOnce<T> {
    /// Without a value.
    pub const fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// The value, if it was made.
    #[allow(unsafe_code, reason = "the value is published by a pointer")]
    pub fn get(&self) -> Option<&T> {
        // SAFETY: it is null, or was published whole and is freed with `self` only.
        unsafe { self.0.load(Ordering::Acquire).as_ref() }
    }

    /// The value, made now if it was not.
    #[allow(unsafe_code, reason = "the value is published by a pointer")]
    pub fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
        if let Some(value) = self.get() {
            return value;
        }
        let made = Box::into_raw(Box::new(make()));
        let none = ptr::null_mut();
        let set = self
            .0
            .compare_exchange(none, made, Ordering::AcqRel, Ordering::Acquire);
        let value = match set {
            Ok(_) => made,
            Err(other) => {
                // SAFETY: nobody else has seen it.
                drop(unsafe { Box::from_raw(made) });
                other
            }
        };
        // SAFETY: what is published is freed with `self` only.
        unsafe { &*value }
    }
}

impl<T> Drop for ForkOnce<T> {
    #[allow(unsafe_code, reason = "the value is published by a pointer")]
    fn drop(&mut self) {
        let value = *self.0.get_mut();
        if !value.is_null() {
            // SAFETY: it came out of a box, and nobody else has a reference to it.
            drop(unsafe { Box::from_raw(value) });
        }
    }
}

impl<T: Send + Sync> Default for ForkOnce<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for ForkOnce<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ForkOnce").finish_non_exhaustive()
    }
}
