//! Recorded system calls whose stack or memory ends where nothing is mapped.

#![allow(unsafe_code, reason = "system calls are made from odd places")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![cfg(target_arch = "x86_64")]

use parking_lot::Mutex;

use diaphane_trace::syscalls::{SyscallPlan, SyscallRecording, begin};

const PLAN: SyscallPlan = SyscallPlan {
    floor: 0,
    capacity: 16 << 20,
    only: None,
    stacks: true,
    callback: None,
};

/// There is one recording at a time.
fn record<T>(run: impl FnOnce() -> T) -> (T, SyscallRecording) {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock();
    let running = begin(PLAN).unwrap();
    let value = run();
    (value, running.end())
}

#[test]
fn a_stack_may_end_where_nothing_is_mapped() {
    let (size, guard) = (256 << 10, 4096);
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    let rights = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping.
    let memory = unsafe { libc::mmap(std::ptr::null_mut(), size + guard, rights, flags, -1, 0) };
    let end = memory.addr() + size;
    // SAFETY: it is this test's own.
    let closed = unsafe { libc::mprotect(end as *mut _, guard, libc::PROT_NONE) };
    assert_eq!(closed, 0);
    // A fiber that has just begun.
    let fiber = end - 64;
    let (pid, found) = record(|| {
        let mut result = libc::SYS_getppid;
        // SAFETY: the call needs no stack, and the handler has room below.
        unsafe {
            std::arch::asm!(
                "xchg rsp, {fiber}",
                "syscall",
                "xchg rsp, {fiber}",
                fiber = inout(reg) fiber => _,
                inout("rax") result,
                out("rcx") _,
                out("r11") _,
            );
        }
        result
    });
    let mut calls = found.calls.iter();
    let call = calls.find(|call| call.number == libc::SYS_getppid).unwrap();
    assert_eq!(call.result, Some(pid as isize));
    assert_eq!(call.registers.stack, fiber);
    assert_eq!(call.registers.copy.len(), 64, "no more than there is");
    // SAFETY: nobody uses it any more.
    unsafe { libc::munmap(memory, size + guard) };
}

#[test]
fn a_partial_write_is_copied_as_far_as_it_is_there() {
    let (size, guard) = (4096, 4096);
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    let rights = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping.
    let memory = unsafe { libc::mmap(std::ptr::null_mut(), size + guard, rights, flags, -1, 0) };
    let end = memory.addr() + size;
    // SAFETY: it is this test's own.
    let guarded = unsafe { libc::mprotect(end as *mut _, guard, libc::PROT_NONE) };
    assert_eq!(guarded, 0);
    let mut pipe = [0; 2];
    // SAFETY: there is room for two numbers.
    assert_eq!(unsafe { libc::pipe(pipe.as_mut_ptr()) }, 0);
    let (written, found) = record(|| {
        // SAFETY: the kernel stops where nothing is mapped.
        unsafe { libc::write(pipe[1], (end - 8) as *const _, 100) }
    });
    let mut calls = found.calls.iter();
    let call = calls.find(|call| call.arguments[1] == end - 8);
    let copied = call.unwrap().text(1).map_or(0, <[u8]>::len);
    assert!(copied <= 8, "{copied}");
    assert!(written <= 8 || written == -1);
    for one in pipe {
        // SAFETY: it is this test's own.
        unsafe { libc::close(one) };
    }
    // SAFETY: nobody uses it any more.
    unsafe { libc::munmap(memory, size + guard) };
}
