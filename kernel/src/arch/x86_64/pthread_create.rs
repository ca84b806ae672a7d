//! `pthread_create` as others call it: only assembly sees the return address.

use std::ffi::{c_int, c_void};

use diaphane_sight::threads::creation_records::Start;

use crate::pthread_create::create;

/// Starts a thread. The address it was called from is passed on as one argument more.
#[allow(
    unsafe_code,
    reason = "the name is C's, and only assembly sees the return address"
)]
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn pthread_create(
    thread: *mut libc::pthread_t,
    attributes: *const libc::pthread_attr_t,
    start: Start,
    argument: *mut c_void,
) -> c_int {
    std::arch::naked_asm!("mov r8, [rsp]", "jmp {create}", create = sym create)
}
