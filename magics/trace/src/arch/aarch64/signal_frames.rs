//! What a signal interrupted, as the kernel wrote it onto the stack.

/// Not known.
pub fn sleeps_in(_context: &libc::ucontext_t) -> Option<usize> {
    None
}

/// Nothing is moved.
pub fn move_out(
    _context: &mut libc::ucontext_t,
    _moved: fn(usize) -> Result<Option<usize>, ()>,
) -> bool {
    true
}
