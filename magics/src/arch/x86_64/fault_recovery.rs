//! The way back from a fault, on x86-64.

#![allow(
    unsafe_code,
    reason = "a signal handler moves the thread, and the assembly keeps what it needs for that"
)]

use std::arch::global_asm;

use diaphane_cell::abi::{Ctx, Entry};
use libc::{REG_EFL, REG_RIP, REG_RSP, c_void, ucontext_t};

// The registers that a function keeps are on the stack while the cell runs, with the two control words of the
// floating-point units. A fault goes on at the landing, with the stack as it was.
global_asm!(
    ".globl diaphane_guarded",
    ".hidden diaphane_guarded",
    ".type diaphane_guarded, @function",
    "diaphane_guarded:",
    ".cfi_startproc",
    "push rbp",
    ".cfi_adjust_cfa_offset 8",
    ".cfi_rel_offset rbp, 0",
    "push rbx",
    ".cfi_adjust_cfa_offset 8",
    ".cfi_rel_offset rbx, 0",
    "push r12",
    ".cfi_adjust_cfa_offset 8",
    ".cfi_rel_offset r12, 0",
    "push r13",
    ".cfi_adjust_cfa_offset 8",
    ".cfi_rel_offset r13, 0",
    "push r14",
    ".cfi_adjust_cfa_offset 8",
    ".cfi_rel_offset r14, 0",
    "push r15",
    ".cfi_adjust_cfa_offset 8",
    ".cfi_rel_offset r15, 0",
    "sub rsp, 8",
    ".cfi_adjust_cfa_offset 8",
    "stmxcsr [rsp]",
    "fnstcw [rsp + 4]",
    "mov [rdi], rsp",
    "mov rdi, rdx",
    "call rsi",
    "2:",
    "add rsp, 8",
    ".cfi_remember_state",
    ".cfi_adjust_cfa_offset -8",
    "pop r15",
    ".cfi_adjust_cfa_offset -8",
    "pop r14",
    ".cfi_adjust_cfa_offset -8",
    "pop r13",
    ".cfi_adjust_cfa_offset -8",
    "pop r12",
    ".cfi_adjust_cfa_offset -8",
    "pop rbx",
    ".cfi_adjust_cfa_offset -8",
    "pop rbp",
    ".cfi_adjust_cfa_offset -8",
    "ret",
    ".globl diaphane_landing",
    ".hidden diaphane_landing",
    "diaphane_landing:",
    ".cfi_restore_state",
    "ldmxcsr [rsp]",
    "fldcw [rsp + 4]",
    "xor eax, eax",
    "jmp 2b",
    ".cfi_endproc",
    ".size diaphane_guarded, . - diaphane_guarded",
);

unsafe extern "C" {
    fn diaphane_guarded(saved: *mut usize, entry: Entry, context: *const Ctx) -> u32;
    fn diaphane_landing();
}

/// Calls the entry, and keeps in `saved` the stack pointer to go back to.
pub unsafe fn guarded(saved: *mut usize, entry: Entry, context: *const Ctx) -> u32 {
    // SAFETY: the caller's promise; the assembly keeps the C calling convention.
    unsafe { diaphane_guarded(saved, entry, context) }
}

/// The instruction that a signal came to.
pub fn pc(context: *mut c_void) -> usize {
    // SAFETY: the kernel gives handlers with SA_SIGINFO a context.
    let context = unsafe { &*context.cast::<ucontext_t>() };
    context.uc_mcontext.gregs[REG_RIP as usize] as usize
}

/// Lets the thread go on behind the call when the handler returns.
pub unsafe fn leave(saved: *const usize, context: *mut c_void) -> bool {
    const DIRECTION: i64 = 0x400;
    // SAFETY: the kernel gives handlers with SA_SIGINFO a context, which is theirs to change.
    let context = unsafe { &mut *context.cast::<ucontext_t>() };
    let registers = &mut context.uc_mcontext.gregs;
    // SAFETY: it belongs to a call of this thread that has not returned.
    registers[REG_RSP as usize] = unsafe { *saved } as i64;
    registers[REG_RIP as usize] = diaphane_landing as *const () as i64;
    registers[REG_EFL as usize] &= !DIRECTION;
    true
}
