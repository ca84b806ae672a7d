//! The registers of AArch64 by DWARF's numbers.

pub const STACK: u16 = 31;
pub const RETURN: u16 = 30;
/// x19 to x29.
pub const KEPT: [u16; 11] = [19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29];

/// How many general registers there are.
pub const GENERAL: usize = 31;

/// What a fault of memory did with its address; 0 where this is not known.
pub const READS: u64 = 1;
pub const WRITES: u64 = 2;
pub const RUNS: u64 = 3;

/// The stack pointer, the next instruction, and the general registers in the order of DWARF's numbers.
pub type General = (usize, usize, [usize; GENERAL]);

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

/// What a fault of memory did with its address: the kernel tells it in a record that is not read here.
pub fn access(_context: &libc::ucontext_t) -> u64 {
    0
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

/// What a signal's frame keeps: nothing in it tells that it is one.
pub fn of_signal_frame(_word: impl Fn(usize) -> Option<usize>, _end: usize) -> Option<Interrupted> {
    None
}
