//! The registers of a thread in DWARF's numbering, each known or not.

/// As many as call frame information may name.
pub(super) const COUNT: usize = 33;

#[cfg(target_arch = "x86_64")]
mod numbers {
    pub(crate) const STACK: u16 = 7;
    pub(crate) const RETURN: u16 = 16;
    /// rbx, rbp, r12 to r15.
    pub(crate) const KEPT: [u16; 6] = [3, 6, 12, 13, 14, 15];
}

#[cfg(not(target_arch = "x86_64"))]
mod numbers {
    pub(crate) const STACK: u16 = 31;
    pub(crate) const RETURN: u16 = 30;
    /// x19 to x29.
    pub(crate) const KEPT: [u16; 11] = [19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29];
}

pub(super) use numbers::{KEPT, RETURN, STACK};

/// What is known of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Registers {
    /// 0 where it is unknown.
    values: [usize; COUNT],
    /// One bit for each that is known.
    known: u64,
    /// The next instruction.
    pub code: usize,
}

impl Registers {
    /// Nothing is known.
    pub const NONE: Self = Self {
        values: [0; COUNT],
        known: 0,
        code: 0,
    };

    /// The two that the kernel tells of a sleeping thread.
    pub fn new(stack: usize, code: usize) -> Self {
        let mut registers = Self { code, ..Self::NONE };
        registers.set(STACK, Some(stack));
        registers
    }

    /// The value of one.
    pub fn get(&self, number: u16) -> Option<usize> {
        let value = *self.values.get(usize::from(number))?;
        (self.known >> number & 1 == 1).then_some(value)
    }

    /// Sets one, or forgets it.
    pub fn set(&mut self, number: u16, value: Option<usize>) {
        if let Some(place) = self.values.get_mut(usize::from(number)) {
            *place = value.unwrap_or(0);
            self.known = self.known & !(1 << number) | u64::from(value.is_some()) << number;
        }
    }

    /// The stack pointer.
    pub fn stack(&self) -> Option<usize> {
        self.get(STACK)
    }
}

/// The registers at the place that a signal interrupted.
#[cfg(target_arch = "x86_64")]
#[must_use]
pub fn interrupted(context: &libc::ucontext_t) -> Registers {
    use libc::{
        REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15, REG_RAX, REG_RBP,
        REG_RBX, REG_RCX, REG_RDI, REG_RDX, REG_RIP, REG_RSI, REG_RSP,
    };
    // In the order of DWARF's numbers.
    let order = [
        REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI, REG_RBP, REG_RSP, REG_R8, REG_R9,
        REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
    ];
    let value = |register: i32| context.uc_mcontext.gregs[register as usize] as usize;
    let mut registers = Registers::new(value(REG_RSP), value(REG_RIP));
    for (number, register) in (0..).zip(order) {
        registers.set(number, Some(value(register)));
    }
    registers
}

/// The registers at the place that a signal interrupted.
#[cfg(target_arch = "aarch64")]
#[must_use]
pub fn interrupted(context: &libc::ucontext_t) -> Registers {
    let machine = &context.uc_mcontext;
    let mut registers = Registers::new(machine.sp as usize, machine.pc as usize);
    for (number, value) in (0..).zip(machine.regs) {
        registers.set(number, Some(value as usize));
    }
    registers
}

/// The registers of a thread that is stopped from outside.
#[cfg(target_arch = "x86_64")]
#[must_use]
pub(super) fn of_user(user: &libc::user_regs_struct) -> Registers {
    // In the order of DWARF's numbers.
    let order = [
        user.rax, user.rdx, user.rcx, user.rbx, user.rsi, user.rdi, user.rbp, user.rsp, user.r8,
        user.r9, user.r10, user.r11, user.r12, user.r13, user.r14, user.r15,
    ];
    let mut registers = Registers::new(user.rsp as usize, user.rip as usize);
    for (number, value) in (0..).zip(order) {
        registers.set(number, Some(value as usize));
    }
    registers
}

/// The registers of a thread that is stopped from outside.
#[cfg(target_arch = "aarch64")]
#[must_use]
pub(super) fn of_user(user: &libc::user_regs_struct) -> Registers {
    let mut registers = Registers::new(user.sp as usize, user.pc as usize);
    for (number, value) in (0..).zip(user.regs) {
        registers.set(number, Some(value as usize));
    }
    registers
}
