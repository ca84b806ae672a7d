//! There is no way back from a fault on AArch64 yet: it ends the process as ever.

use diaphane_cell::abi::{Ctx, Entry};

use crate::rust_cells::guard::Frame;

pub unsafe fn guarded(_frame: *mut Frame, entry: Entry, context: *const Ctx) -> u32 {
    // SAFETY: the caller's promise.
    unsafe { entry(context) }
}

pub fn pc(_context: *mut libc::c_void) -> usize {
    0
}

pub unsafe fn leave(_frame: *mut Frame, _context: *mut libc::c_void) -> bool {
    false
}
