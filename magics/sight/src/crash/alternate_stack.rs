//! The stack that signal handlers stand on where a thread's own is used up: each thread has one, from its first function on.
//!
//! Nothing is allocated but by the system, and no lock is taken.
#![allow(unsafe_code, reason = "stacks are memory of the system's")]

use std::ptr;

/// What a handler and the frames of two signals take, also where registers are wide; memory comes with its first use.
const SIZE: usize = 64 << 10;

/// Gives the calling thread its stack for signals, unless it has a large one.
pub fn begin() {
    if own().is_some_and(|own| own.ss_flags & libc::SS_DISABLE == 0 && own.ss_size >= SIZE) {
        return;
    }
    let rights = libc::PROT_READ | libc::PROT_WRITE;
    let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_STACK;
    // SAFETY: a new mapping at an address that the kernel chooses touches nobody's memory.
    let memory = unsafe { libc::mmap(ptr::null_mut(), SIZE, rights, kind, -1, 0) };
    if memory == libc::MAP_FAILED {
        return;
    }
    let stack = libc::stack_t {
        ss_sp: memory,
        ss_flags: 0,
        ss_size: SIZE,
    };
    // SAFETY: the memory is the stack's alone, until `end` or for ever.
    unsafe { libc::sigaltstack(&raw const stack, ptr::null_mut()) };
}

/// Takes it back at the end of the thread.
pub fn end() {
    let Some(stack) = own().filter(|own| own.ss_size == SIZE && own.ss_flags == 0) else {
        return;
    };
    let none = libc::stack_t {
        ss_sp: ptr::null_mut(),
        ss_flags: libc::SS_DISABLE,
        ss_size: 0,
    };
    // SAFETY: the thread stands on its own stack, as the flags said.
    let taken = unsafe { libc::sigaltstack(&raw const none, ptr::null_mut()) } == 0;
    if taken {
        // SAFETY: `begin` mapped it for this thread, which does not use it any more.
        unsafe { libc::munmap(stack.ss_sp, SIZE) };
    }
}

/// The stack for signals that the calling thread has.
fn own() -> Option<libc::stack_t> {
    let mut stack = libc::stack_t {
        ss_sp: ptr::null_mut(),
        ss_flags: 0,
        ss_size: 0,
    };
    // SAFETY: it only asks.
    let asked = unsafe { libc::sigaltstack(ptr::null(), &raw mut stack) };
    (asked == 0).then_some(stack)
}
