//! Who made a system call: the library whose code asked the C library for it.
//!
//! The kernel stands between a library and the C library where threads are started, so it is passed over there.

use std::collections::HashMap;
use std::sync::Arc;

use diaphane_sight::code::symbols;
use diaphane_sight::elf::demangle::demangle;
use diaphane_sight::linker::libraries::Library;
use diaphane_sight::proc::spans::Span;
use diaphane_sight::runtimes::families::{Family, family};
use diaphane_sight::stand_ins::is_stand_in;
use diaphane_sight::unwind::{Registers, Unwinder};
use diaphane_trace::syscalls::Call;
use serde::Serialize;

use crate::arch::system_calls::VFORK;

/// rbx, rbp, r12 to r15, in DWARF's numbering.
const KEPT: [u16; 6] = [3, 6, 12, 13, 14, 15];

/// The code that made a call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize)]
pub(super) struct Maker {
    pub library: Option<String>,
    pub function: Option<String>,
    /// Whether it is the kernel itself, which shows what the cell prints.
    pub is_kernel: bool,
}

/// Finds makers.
pub(super) struct Makers<'a> {
    libraries: &'a [Library],
    unwinder: Unwinder,
    runtimes: Vec<Span>,
    known: HashMap<usize, Arc<Maker>>,
}

impl<'a> Makers<'a> {
    pub fn new(libraries: &'a [Library]) -> Self {
        // These make calls for others.
        let serves = |one: &&Library| matches!(family(one), Some(Family::C | Family::Linker));
        let runtimes = libraries.iter().filter(serves);
        Self {
            libraries,
            unwinder: Unwinder::new(libraries),
            runtimes: runtimes.map(|library| library.span).collect(),
            known: HashMap::new(),
        }
    }

    /// The first code outside of the C library and the linker, or else theirs.
    pub fn of(&mut self, call: &Call) -> Arc<Maker> {
        let address = self.caller(call);
        self.maker(address.unwrap_or(call.registers.code.wrapping_sub(1)))
    }

    /// The first address outside of the C library, the linker, and what of ours stands before them.
    fn caller(&mut self, call: &Call) -> Option<usize> {
        let libraries = self.libraries;
        let is_code = |address: &usize| libraries.iter().any(|one| one.span.contains(*address));
        if let Some(back) = taken_along(call) {
            return Some(back - 1).filter(is_code);
        }
        let from = &call.registers;
        let mut registers = Registers::new(from.stack, from.code.wrapping_sub(1));
        for (number, value) in KEPT.into_iter().zip(from.kept) {
            registers.set(number, Some(value));
        }
        let inside = |address| self.runtimes.iter().any(|span| span.contains(address));
        let is_inside = |address| inside(address) || is_stand_in(address);
        let copy = from.copy.clone();
        let found = self.unwinder.caller(registers, from.stack, copy, is_inside);
        found.filter(is_code)
    }

    fn maker(&mut self, address: usize) -> Arc<Maker> {
        let libraries = self.libraries;
        let known = self.known.entry(address);
        Arc::clone(known.or_insert_with(|| Arc::new(maker(address, libraries))))
    }
}

/// The address that a call returns to where the C library holds it in a register: the child of `vfork` works on the
/// same stack, and so would lose it.
fn taken_along(call: &Call) -> Option<usize> {
    let is_vfork = VFORK.is_some_and(|sysno| call.number == sysno as i64);
    (is_vfork && call.arguments[0] > 0).then_some(call.arguments[0])
}

fn maker(address: usize, libraries: &[Library]) -> Maker {
    let place = symbols::place(address, libraries);
    let symbol = place.as_ref().and_then(|place| place.symbol.as_ref());
    let own = maker as *const () as usize;
    let library = place.as_ref().map(|place| &libraries[place.library]);
    Maker {
        is_kernel: library.is_some_and(|library| library.span.contains(own)),
        library: place
            .as_ref()
            .map(|place| libraries[place.library].name.clone()),
        function: symbol.map(|symbol| demangle(&symbol.name)),
    }
}
