//! The instructions that may enter the kernel while a thread's system calls are dispatched; all lie in one range.
//!
//! The handler makes every call through `call`, and leaves by `restore`. A call after which a new thread or a child that
//! borrows the memory stands beside the caller must not be made below the handler's frames, since both return from it:
//! it is made by a trampoline, one for each place in the code that does so, which jumps back to that place in both.

#![allow(
    unsafe_code,
    reason = "assembly is outside of what the compiler checks"
)]

use std::arch::{asm, global_asm};
use std::sync::atomic::{AtomicIsize, AtomicPtr, AtomicUsize, Ordering};

use super::dispatch::arm_new_thread;
use super::state::ThreadState;

/// How many places in the code may start threads or borrow memory.
const TRAMPOLINES: usize = 16;

global_asm!(
    ".section .tbss.diaphane_syscalls,\"awT\",@nobits",
    ".p2align 3",
    ".globl diaphane_syscalls_own",
    ".hidden diaphane_syscalls_own",
    ".type diaphane_syscalls_own,@object",
    ".size diaphane_syscalls_own,16",
    "diaphane_syscalls_own:",
    ".zero 16",
    ".text",
    ".p2align 5",
    ".globl diaphane_syscalls_begin",
    ".hidden diaphane_syscalls_begin",
    "diaphane_syscalls_begin:",
    // `rdi`: the number, `rsi`: the six arguments.
    ".globl diaphane_syscalls_call",
    ".hidden diaphane_syscalls_call",
    ".type diaphane_syscalls_call,@function",
    "diaphane_syscalls_call:",
    ".cfi_startproc",
    "mov rax, rdi",
    "mov r11, rsi",
    "mov rdi, [r11]",
    "mov rsi, [r11 + 8]",
    "mov rdx, [r11 + 16]",
    "mov r10, [r11 + 24]",
    "mov r8, [r11 + 32]",
    "mov r9, [r11 + 40]",
    "syscall",
    "ret",
    ".cfi_endproc",
    ".size diaphane_syscalls_call, . - diaphane_syscalls_call",
    // Returns from the signal handler whose frame `rdi` points to, behind its first word.
    ".globl diaphane_syscalls_return",
    ".hidden diaphane_syscalls_return",
    "diaphane_syscalls_return:",
    "mov rsp, rdi",
    // What our handler returns to. Unwinders know these very bytes.
    ".globl diaphane_syscalls_restore",
    ".hidden diaphane_syscalls_restore",
    "diaphane_syscalls_restore:",
    ".byte 0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05",
    "ud2",
    ".p2align 3",
    ".globl diaphane_syscalls_trampolines",
    ".hidden diaphane_syscalls_trampolines",
    "diaphane_syscalls_trampolines:",
    ".rept {trampolines}",
    "syscall",
    "jmp 2f",
    ".p2align 3",
    ".endr",
    ".globl diaphane_syscalls_thread_trampolines",
    ".hidden diaphane_syscalls_thread_trampolines",
    "diaphane_syscalls_thread_trampolines:",
    ".rept {trampolines}",
    "syscall",
    "jmp 4f",
    ".p2align 3",
    ".endr",
    ".globl diaphane_syscalls_end",
    ".hidden diaphane_syscalls_end",
    "diaphane_syscalls_end:",
    // The kernel has put the address behind the `syscall` into `rcx`, and `r11` is free too. No flag may change.
    "2:",
    "lea r11, [rip + diaphane_syscalls_trampolines]",
    "not r11",
    "lea r11, [r11 + rcx - 1]",
    "lea rcx, [rip + {targets}]",
    "mov r11, [rcx + r11]",
    "mov rcx, rax",
    "jrcxz 3f",
    "mov rcx, qword ptr [rip + diaphane_syscalls_own@gottpoff]",
    "mov qword ptr fs:[rcx + 8], rax",
    "3:",
    "jmp r11",
    // The same, but the child is a thread of this process, which takes part from its first instruction on.
    "4:",
    "lea r11, [rip + diaphane_syscalls_thread_trampolines]",
    "not r11",
    "lea r11, [r11 + rcx - 1]",
    "lea rcx, [rip + {targets}]",
    "mov r11, [rcx + r11]",
    "mov rcx, rax",
    "jrcxz 5f",
    "mov rcx, qword ptr [rip + diaphane_syscalls_own@gottpoff]",
    "mov qword ptr fs:[rcx + 8], rax",
    "jmp r11",
    "5:",
    "push r11",
    "pushfq",
    "push rax",
    "push rdi",
    "push rsi",
    "push rdx",
    "push r8",
    "push r9",
    "push r10",
    "push rbp",
    "mov rbp, rsp",
    "and rsp, -16",
    "cld",
    "call {arm}",
    "mov rsp, rbp",
    "pop rbp",
    "pop r10",
    "pop r9",
    "pop r8",
    "pop rdx",
    "pop rsi",
    "pop rdi",
    "pop rax",
    "popfq",
    "pop r11",
    "jmp r11",
    trampolines = const TRAMPOLINES,
    targets = sym TARGETS,
    arm = sym arm_new_thread,
);

unsafe extern "C" {
    fn diaphane_syscalls_begin();
    fn diaphane_syscalls_end();
    fn diaphane_syscalls_restore();
    fn diaphane_syscalls_trampolines();
    fn diaphane_syscalls_thread_trampolines();
    fn diaphane_syscalls_return(frame: usize) -> !;
}

unsafe extern "C-unwind" {
    fn diaphane_syscalls_call(number: usize, arguments: *const [usize; 6]) -> isize;
}

/// Where each trampoline leads back to. A place is never taken back, since a thread may stand in its trampoline.
static TARGETS: [AtomicUsize; TRAMPOLINES] = [const { AtomicUsize::new(0) }; TRAMPOLINES];

/// What each thread has. A new thread begins with zeroes.
#[repr(C)]
pub(super) struct DispatchWords {
    /// Its state, if it takes part.
    pub state: AtomicPtr<ThreadState>,
    /// What the last call through a trampoline returned to it.
    pub by_trampoline: AtomicIsize,
}

/// The calling thread's words.
pub(super) fn own() -> &'static DispatchWords {
    let address: *const DispatchWords;
    // SAFETY: it computes the address of a thread-local variable, as the compiler would.
    unsafe {
        asm!(
            "mov {0}, qword ptr [rip + diaphane_syscalls_own@gottpoff]",
            "add {0}, qword ptr fs:[0]",
            out(reg) address,
            options(pure, readonly, nostack),
        );
    }
    // SAFETY: the variable is as long as `DispatchWords`, lives as long as its thread, and is only used on it.
    unsafe { &*address }
}

/// Makes a system call that is not dispatched.
pub(super) fn call(number: i64, arguments: [usize; 6]) -> isize {
    // SAFETY: it makes the call that somebody asked for, or one of our own with our memory.
    unsafe { diaphane_syscalls_call(number as usize, &raw const arguments) }
}

/// Returns from the signal handler that was about to do so, with the stack pointer that it had.
pub(super) fn return_from(stack: usize) -> ! {
    // SAFETY: the frame is the kernel's, as the handler's own return would have found it.
    unsafe { diaphane_syscalls_return(stack) }
}

/// Where our handler returns to.
pub(super) fn restorer() -> usize {
    diaphane_syscalls_restore as *const () as usize
}

/// The first address of the range, and its length.
pub(super) fn allowed() -> (usize, usize) {
    let start = diaphane_syscalls_begin as *const () as usize;
    let end = diaphane_syscalls_end as *const () as usize;
    (start, end - start)
}

/// The trampoline for a call from the place that goes on at an address; `None` if there are too many such places.
pub(super) fn trampoline(back: usize, for_thread: bool) -> Option<usize> {
    let is_its = |target: &AtomicUsize| {
        let taken = target.compare_exchange(0, back, Ordering::AcqRel, Ordering::Acquire);
        taken.is_ok() || taken == Err(back)
    };
    let index = TARGETS.iter().position(is_its)?;
    let trampolines = if for_thread {
        diaphane_syscalls_thread_trampolines as *const ()
    } else {
        diaphane_syscalls_trampolines as *const ()
    };
    Some(trampolines as usize + 8 * index)
}
