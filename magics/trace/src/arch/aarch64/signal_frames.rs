//! What a signal interrupted, as the kernel wrote it onto the stack.

/// Not known.
pub fn sleeps_in(_context: &libc::ucontext_t) -> Option<usize> {
    None
}

/// Not known.
pub fn has_left_its_call(_context: &libc::ucontext_t) -> bool {
    false
}

/// Nothing is moved.
pub fn move_out(
    _context: &mut libc::ucontext_t,
    _moved: fn(usize) -> Result<Option<usize>, ()>,
) -> bool {
    true
}
