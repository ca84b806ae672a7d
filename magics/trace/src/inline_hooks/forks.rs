//! A child process gets its code back when it begins.
//!
//! It has one thread, the one that forked, and that stands in the C library. Nothing is locked or allocated there.

use std::sync::atomic::Ordering;

use diaphane_forks::{Handlers, Order, register};

use super::{STATE, WRITTEN};
use crate::inline_hooks::text_patching;
use crate::inline_hooks::text_patching::Want;

/// From now on, forks wait for changes of code, and children take them back.
pub(super) fn guard() {
    static HANDLERS: Handlers = Handlers {
        before: || STATE.hold(),
        parent: release,
        child,
    };
    register(Order::InlineHooks, &HANDLERS);
}

#[allow(unsafe_code, reason = "a lock is held across a fork")]
fn release() {
    // SAFETY: `before` took it on this thread, the only one of a child.
    unsafe { STATE.release() };
}

#[allow(unsafe_code, reason = "the list is published as a raw pointer")]
fn child() {
    // SAFETY: it points at a list that lives for ever.
    if let Some(list) = unsafe { WRITTEN.load(Ordering::Acquire).as_ref() }
        && text_patching::open(list).is_ok()
    {
        text_patching::write(list, Want::Originals);
        let _ = text_patching::close(list);
        WRITTEN.store(std::ptr::null_mut(), Ordering::Release);
    }
    release();
}
