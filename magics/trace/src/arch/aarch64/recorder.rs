//! In place of the assembly on processors that have none: threads can be told apart, and nothing can be hooked.

use std::cell::UnsafeCell;
use std::ptr;

use crate::recorder::writer::Writer;

/// What a hook would save.
pub(crate) struct SavedRegisters {
    pub back: usize,
}

impl SavedRegisters {
    /// Not known.
    pub fn function(&self) -> u32 {
        0
    }

    /// Not known.
    pub fn integer(&self, _number: u8) -> usize {
        0
    }
}

/// What a hook would save of the vector registers.
pub(crate) struct VectorRegisters;

impl VectorRegisters {
    /// Not known.
    pub fn float(&self, _number: u8) -> usize {
        0
    }
}

/// What each thread has.
pub(crate) struct RecorderWords {
    pub writer: *mut Writer,
}

thread_local! {
    static OWN: UnsafeCell<RecorderWords> = const { UnsafeCell::new(RecorderWords { writer: ptr::null_mut() }) };
}

pub(crate) fn own() -> *mut RecorderWords {
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
pub(crate) fn choose_words(_words: bool) {}

/// Runs nothing.
pub(crate) fn call_often(_rounds: usize) {}

/// Whether hooks can be placed.
pub(crate) fn is_supported() -> bool {
    false
}
