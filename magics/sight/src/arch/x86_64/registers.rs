//! The registers of x86-64 by DWARF's numbers.

use libc::{
    REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15, REG_RAX, REG_RBP,
    REG_RBX, REG_RCX, REG_RDI, REG_RDX, REG_RIP, REG_RSI, REG_RSP,
};

pub const STACK: u16 = 7;
pub const RETURN: u16 = 16;
/// rbx, rbp, r12 to r15.
pub const KEPT: [u16; 6] = [3, 6, 12, 13, 14, 15];

/// The stack pointer, the next instruction, and the general registers in the order of DWARF's numbers.
pub type General = (usize, usize, [usize; 16]);

/// The registers at the place that a signal interrupted.
pub fn interrupted(context: &libc::ucontext_t) -> General {
    let order = [
        REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI, REG_RBP, REG_RSP, REG_R8, REG_R9,
        REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
    ];
    let value = |register: i32| context.uc_mcontext.gregs[register as usize] as usize;
    (value(REG_RSP), value(REG_RIP), order.map(value))
}

/// The registers of a thread that is stopped from outside.
pub fn of_user(user: &libc::user_regs_struct) -> General {
    let order = [
        user.rax, user.rdx, user.rcx, user.rbx, user.rsi, user.rdi, user.rbp, user.rsp, user.r8,
        user.r9, user.r10, user.r11, user.r12, user.r13, user.r14, user.r15,
    ];
    let general = order.map(|value| value as usize);
    (user.rsp as usize, user.rip as usize, general)
}
