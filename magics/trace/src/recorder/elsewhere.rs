//! In place of the assembly on processors that have none: threads can be told apart, and nothing can be hooked.

use std::cell::UnsafeCell;
use std::ptr;

use super::writer::Writer;

/// What a hook would save.
pub(super) struct Saved {
    pub rax: usize,
    pub rdi: usize,
    pub rsi: usize,
    pub rdx: usize,
    pub rcx: usize,
    pub r8: usize,
    pub r9: usize,
    pub back: usize,
}

/// What each thread has.
pub(super) struct Own {
    pub writer: *mut Writer,
}

thread_local! {
    static OWN: UnsafeCell<Own> = const { UnsafeCell::new(Own { writer: ptr::null_mut() }) };
}

pub(super) fn own() -> *mut Own {
    OWN.with(UnsafeCell::get)
}

/// There is no such code here.
pub fn common() -> usize {
    0
}

/// There is no such code here.
pub fn common_with_words() -> usize {
    0
}

/// There is no such code here.
pub fn common_by_choice() -> usize {
    0
}

/// There is nothing to choose.
pub(super) fn choose_words(_words: bool) {}

/// Runs nothing.
pub(super) fn call_often(_rounds: usize) {}

/// Whether hooks can be placed.
pub(super) fn is_supported() -> bool {
    false
}
