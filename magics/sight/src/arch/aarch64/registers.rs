//! The registers of AArch64 by DWARF's numbers.

pub const STACK: u16 = 31;
pub const RETURN: u16 = 30;
/// x19 to x29.
pub const KEPT: [u16; 11] = [19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29];

/// The stack pointer, the next instruction, and the general registers in the order of DWARF's numbers.
pub type General = (usize, usize, [usize; 31]);

/// The registers at the place that a signal interrupted.
pub fn interrupted(context: &libc::ucontext_t) -> General {
    let machine = &context.uc_mcontext;
    let general = machine.regs.map(|value| value as usize);
    (machine.sp as usize, machine.pc as usize, general)
}

/// The registers of a thread that is stopped from outside.
pub fn of_user(user: &libc::user_regs_struct) -> General {
    let general = user.regs.map(|value| value as usize);
    (user.sp as usize, user.pc as usize, general)
}
