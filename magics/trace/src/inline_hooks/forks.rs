//! A child process gets its code back at its birth.
//!
//! It has one thread, the one that forked, and that stands in the C library. Nothing is locked or allocated there.

use std::sync::Once;
use std::sync::atomic::Ordering;

use super::{STATE, WRITTEN};
use crate::inline_hooks::text_patching;
use crate::inline_hooks::text_patching::Want;

/// From now on, forks wait for changes of code, and children take them back.
#[allow(unsafe_code, reason = "a C function with callbacks")]
pub(super) fn guard() {
    static GUARD: Once = Once::new();
    GUARD.call_once(|| {
        // SAFETY: the functions live as long as the program. Where there is no memory to note them, a child keeps its hooks,
        // which work there as in its parent.
        unsafe { libc::pthread_atfork(Some(before), Some(parent), Some(child)) };
    });
}

#[allow(unsafe_code, reason = "called by the C library")]
unsafe extern "C" fn before() {
    std::mem::forget(STATE.lock());
}

#[allow(unsafe_code, reason = "called by the C library")]
unsafe extern "C" fn parent() {
    // SAFETY: `before` took it on this thread.
    unsafe { STATE.force_unlock() };
}

#[allow(unsafe_code, reason = "called by the C library")]
unsafe extern "C" fn child() {
    // SAFETY: it points at a list that lives for ever.
    if let Some(list) = unsafe { WRITTEN.load(Ordering::Acquire).as_ref() }
        && text_patching::open(list).is_ok()
    {
        text_patching::write(list, Want::Originals);
        let _ = text_patching::close(list);
        WRITTEN.store(std::ptr::null_mut(), Ordering::Release);
    }
    // SAFETY: `before` took it on this thread, the only one of the child.
    unsafe { STATE.force_unlock() };
}
