//! There is no way back from a fault on AArch64 yet: it ends the process as ever.

#![allow(unsafe_code, reason = "a cell is called by its address")]

use diaphane_cell::abi::{Ctx, Entry};

pub unsafe fn guarded(_saved: *mut usize, entry: Entry, context: *const Ctx) -> u32 {
    // SAFETY: the caller's promise.
    unsafe { entry(context) }
}

pub fn pc(_context: *mut libc::c_void) -> usize {
    0
}

pub unsafe fn leave(_saved: *const usize, _context: *mut libc::c_void) -> bool {
    false
}
