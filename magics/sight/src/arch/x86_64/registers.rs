//! The registers of x86-64 by DWARF's numbers.

use libc::{
    REG_CR2, REG_CSGSFS, REG_ERR, REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14,
    REG_R15, REG_RAX, REG_RBP, REG_RBX, REG_RCX, REG_RDI, REG_RDX, REG_RIP, REG_RSI, REG_RSP,
    REG_TRAPNO,
};

pub const STACK: u16 = 7;
pub const RETURN: u16 = 16;
/// rbx, rbp, r12 to r15.
pub const KEPT: [u16; 6] = [3, 6, 12, 13, 14, 15];

/// How many general registers there are.
pub const GENERAL: usize = 16;

/// What a fault of memory did with its address; 0 where this is not known.
pub const READS: u64 = 1;
pub const WRITES: u64 = 2;
pub const RUNS: u64 = 3;

/// The stack pointer, the next instruction, and the general registers in the order of DWARF's numbers.
pub type General = (usize, usize, [usize; GENERAL]);

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

/// What a fault of memory did with its address.
pub fn access(context: &libc::ucontext_t) -> u64 {
    const PAGE_FAULT: i64 = 14;
    let registers = &context.uc_mcontext.gregs;
    if registers[REG_TRAPNO as usize] != PAGE_FAULT {
        return 0;
    }
    match registers[REG_ERR as usize] {
        error if error & 1 << 4 != 0 => RUNS,
        error if error & 1 << 1 != 0 => WRITES,
        _ => READS,
    }
}

/// What a signal's frame keeps.
pub struct Interrupted {
    pub general: General,
    pub access: u64,
    /// The address of a memory fault.
    pub address: usize,
    /// The signal's code, of a fault.
    pub code: i32,
}

/// What a signal's frame keeps that begins where the handler's one ends, if there is one, of a fault. Memory is read by
/// `word`. The signal's information is there only where the handler asked for it, so the processor's is read.
#[allow(unsafe_code, reason = "a structure of C's begins with zeros")]
pub fn of_signal_frame(word: impl Fn(usize) -> Option<usize>, end: usize) -> Option<Interrupted> {
    /// The selector of 64-bit code of a process.
    const CODE: i64 = 0x33;
    const DIVISION: i64 = 0;
    const INSTRUCTION: i64 = 6;
    const PROTECTION: i64 = 13;
    const PAGE: i64 = 14;
    // SAFETY: the structure is of numbers and pointers, for which zeros are values.
    let mut context: libc::ucontext_t = unsafe { std::mem::zeroed() };
    let start = end.checked_add(std::mem::offset_of!(libc::ucontext_t, uc_mcontext))?;
    for (number, register) in context.uc_mcontext.gregs.iter_mut().enumerate() {
        *register = word(start + number * size_of::<usize>())? as i64;
    }
    let registers = &context.uc_mcontext.gregs;
    (registers[REG_CSGSFS as usize] & 0xffff == CODE).then_some(())?;
    let code = match registers[REG_TRAPNO as usize] {
        DIVISION | PAGE => 1,
        INSTRUCTION => 2,
        PROTECTION => 128,
        _ => return None,
    };
    Some(Interrupted {
        address: registers[REG_CR2 as usize] as usize,
        general: interrupted(&context),
        access: access(&context),
        code,
    })
}
