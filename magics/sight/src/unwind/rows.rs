//! What call frame information says about single addresses, in the few forms that nearly all of it has, so that ten
//! thousands of stacks can be followed without reading the tables each time.

use std::collections::HashMap;

use gimli::{CfaRule, RegisterRule, UnwindTableRow};

use super::registers::{KEPT, RETURN, STACK};
use super::unwind::{Step, Stop, leave};
use super::{Registers, Snapshot};

/// No more addresses are remembered.
const MOST: usize = 1 << 16;

/// Rows by address.
#[derive(Default)]
pub(super) struct Rows(HashMap<usize, Known>);

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
    distance: isize,
    back: isize,
    kept: [Saved; KEPT.len()],
    signal: bool,
}

#[derive(Clone, Copy)]
enum Saved {
    Same,
    At(isize),
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
                Some(RegisterRule::Offset(offset)) => Saved::At(offset as isize),
                Some(RegisterRule::Undefined) => Saved::Lost,
                Some(_) => return None,
            };
        }
        Some(Self {
            start,
            base: register.0,
            distance: *offset as isize,
            back: *back as isize,
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
            Some(base?.wrapping_add_signed(self.distance))
        };
        let frame = assumed.or_else(computed).ok_or(Stop::Unknown(self.start))?;
        let saved = |offset: isize| copy.word(frame.wrapping_add_signed(offset));
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
