//! What call frame information says about single addresses, in the few forms that nearly all of it has, so that ten
//! thousands of stacks can be followed without reading the tables each time.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use gimli::{CfaRule, RegisterRule, UnwindTableRow};

use super::registers::{KEPT, RETURN, STACK};
use super::unwinder::{Step, Stop, leave};
use super::{Registers, Snapshot};

/// No more addresses are remembered.
const MOST: usize = 1 << 16;

/// Rows by address.
#[derive(Default)]
pub(super) struct Rows(HashMap<usize, Known, BuildHasherDefault<Spread>>);

/// Spreads addresses: a hash that nobody can foresee takes longer than the rest of a step.
#[derive(Default)]
pub(super) struct Spread(u64);

impl Hasher for Spread {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_usize(usize::from(byte));
        }
    }

    fn write_usize(&mut self, word: usize) {
        // By the golden ratio, as Fibonacci hashing has it.
        self.0 = (self.0 ^ word as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        // The table takes its place from the lowest bits, which know least of the word.
        self.0.rotate_left(26)
    }
}

/// What is known of an address.
#[derive(Clone, Copy)]
pub(super) enum Known {
    /// No call frame information.
    Nothing,
    /// A thread's first function.
    First,
    /// A row of the simple form.
    Simple(Simple),
    /// A row of another form, which has to be read again.
    Other,
}

/// A frame that ends so far from a register, with saved registers so far from its end.
#[derive(Clone, Copy)]
pub(super) struct Simple {
    start: Option<usize>,
    base: u16,
    distance: i32,
    back: i32,
    kept: [Saved; KEPT.len()],
    signal: bool,
}

#[derive(Clone, Copy)]
enum Saved {
    Same,
    At(i32),
    Lost,
}

impl Rows {
    pub(super) fn get(&self, lookup: usize) -> Option<Known> {
        self.0.get(&lookup).copied()
    }

    pub(super) fn remember(&mut self, lookup: usize, known: Known) {
        if self.0.len() >= MOST {
            self.0.clear();
        }
        self.0.insert(lookup, known);
    }
}

impl Simple {
    /// A row in this form, if it has it.
    pub(super) fn of(
        row: &UnwindTableRow<usize>,
        start: Option<usize>,
        back: &RegisterRule<usize>,
        signal: bool,
    ) -> Option<Self> {
        let (CfaRule::RegisterAndOffset { register, offset }, RegisterRule::Offset(back)) =
            (row.cfa(), back)
        else {
            return None;
        };
        if row.register(gimli::Register(STACK)).is_some() {
            return None;
        }
        let mut kept = [Saved::Same; KEPT.len()];
        for (saved, number) in kept.iter_mut().zip(KEPT) {
            *saved = match row.register(gimli::Register(number)) {
                None | Some(RegisterRule::SameValue) => Saved::Same,
                Some(RegisterRule::Offset(offset)) => Saved::At(i32::try_from(offset).ok()?),
                Some(RegisterRule::Undefined) => Saved::Lost,
                Some(_) => return None,
            };
        }
        Some(Self {
            start,
            base: register.0,
            distance: i32::try_from(*offset).ok()?,
            back: i32::try_from(*back).ok()?,
            kept,
            signal,
        })
    }

    /// One call outwards; the end of the frame is computed, unless it is assumed.
    pub(super) fn step(
        &self,
        copy: &Snapshot,
        registers: &Registers,
        assumed: Option<usize>,
    ) -> Result<Step, Stop> {
        let computed = || {
            let base = match self.base {
                RETURN => Some(registers.code),
                number => registers.get(number),
            };
            Some(base?.wrapping_add_signed(self.distance as isize))
        };
        let frame = assumed.or_else(computed).ok_or(Stop::Unknown(self.start))?;
        let saved = |offset: i32| copy.word(frame.wrapping_add_signed(offset as isize));
        let code = saved(self.back).ok_or(Stop::Lost)?;
        let mut outer = Registers::new(frame, code);
        for (kept, number) in self.kept.iter().zip(KEPT) {
            let value = match *kept {
                Saved::Same => registers.get(number),
                Saved::At(offset) => saved(offset),
                Saved::Lost => None,
            };
            outer.set(number, value);
        }
        leave(registers, outer, frame, self.signal)
    }
}
