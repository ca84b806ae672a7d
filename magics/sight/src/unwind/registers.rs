//! The registers of a thread in DWARF's numbering, each known or not.

use crate::arch::registers::{self, General};
use crate::crash::fault::Fault;

/// As many as call frame information may name.
pub(super) const COUNT: usize = 33;

pub(super) use crate::arch::registers::{KEPT, RETURN, STACK};

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

    /// Those of a fault.
    #[must_use]
    pub fn of_fault(fault: &Fault) -> Self {
        let mut registers = Self::new(fault.stack, fault.instruction);
        for (number, value) in (0..).zip(&fault.general) {
            registers.set(number, Some(*value));
        }
        registers
    }

    /// Those that a processor calls general, with DWARF's first numbers.
    fn of_general((stack, code, general): General) -> Self {
        let mut registers = Self::new(stack, code);
        for (number, value) in (0..).zip(general) {
            registers.set(number, Some(value));
        }
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
#[must_use]
pub fn interrupted(context: &libc::ucontext_t) -> Registers {
    Registers::of_general(registers::interrupted(context))
}

/// The registers of a thread that is stopped from outside.
#[must_use]
pub(super) fn of_user(user: &libc::user_regs_struct) -> Registers {
    Registers::of_general(registers::of_user(user))
}
