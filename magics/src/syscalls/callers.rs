//! Who made a system call: the library whose code asked the C library for it.

use std::collections::HashMap;
use std::sync::Arc;

use diaphane_sight::demangle::demangle;
use diaphane_sight::libs::Library;
use diaphane_sight::spans::Span;
use diaphane_sight::stacks::{Registers, Unwinder};
use diaphane_sight::symbols;
use diaphane_trace::syscalls::Call;
use serde::Serialize;

/// Libraries that make calls for others.
const RUNTIMES: [&str; 5] = ["libc.so", "libc-", "libpthread", "ld-linux", "librt."];
/// rbx, rbp, r12 to r15, in DWARF's numbering.
const KEPT: [u16; 6] = [3, 6, 12, 13, 14, 15];

/// The code that made a call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize)]
pub(super) struct Maker {
    pub library: Option<String>,
    pub function: Option<String>,
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
        let is_runtime = |library: &&Library| {
            let mut names = RUNTIMES.iter();
            names.any(|name| library.name.starts_with(name))
        };
        let runtimes = libraries.iter().filter(is_runtime);
        Self {
            libraries,
            unwinder: Unwinder::new(libraries),
            runtimes: runtimes.map(|library| library.span).collect(),
            known: HashMap::new(),
        }
    }

    /// The first code outside of the C library and the linker, or else theirs.
    pub fn of(&mut self, call: &Call) -> Arc<Maker> {
        let from = &call.registers;
        let mut registers = Registers::new(from.stack, from.code.wrapping_sub(1));
        for (number, value) in KEPT.into_iter().zip(from.kept) {
            registers.set(number, Some(value));
        }
        let runtimes = &self.runtimes;
        let is_runtime = |address| runtimes.iter().any(|span| span.contains(address));
        let copy = from.copy.clone();
        let found = self
            .unwinder
            .caller(registers, from.stack, copy, is_runtime);
        let address = found.unwrap_or(from.code.wrapping_sub(1));
        let libraries = self.libraries;
        let known = self.known.entry(address);
        Arc::clone(known.or_insert_with(|| Arc::new(maker(address, libraries))))
    }
}

fn maker(address: usize, libraries: &[Library]) -> Maker {
    let place = symbols::place(address, libraries);
    let symbol = place.as_ref().and_then(|place| place.symbol.as_ref());
    Maker {
        library: place
            .as_ref()
            .map(|place| libraries[place.library].name.clone()),
        function: symbol.map(|symbol| demangle(&symbol.name)),
    }
}
