//! What gdb wrote: the registers, the stack and the backtrace of a thread at one stop.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};

use diaphane_sight::unwind::{Registers, Snapshot};
use serde::Deserialize;

/// DWARF's numbers of the registers in gdb's order.
const NUMBERS: [u16; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
/// Where every thread begins.
const FIRST: [&str; 3] = ["_start", "clone3", "clone"];

/// A thread at a stop.
#[derive(Deserialize)]
pub struct Stop {
    registers: Vec<usize>,
    start: usize,
    place: usize,
    size: usize,
    /// The addresses of gdb's backtrace.
    pub codes: Vec<usize>,
    /// The names that gdb gives them.
    pub names: Vec<Option<String>>,
    /// Whether the copy ends before the stack does.
    pub is_cut: bool,
    #[serde(skip)]
    stack: Vec<u8>,
}

/// All stops of a folder.
pub fn read(folder: &str) -> io::Result<Vec<Stop>> {
    let stacks = fs::read(format!("{folder}/stacks"))?;
    let lines = BufReader::new(File::open(format!("{folder}/stops"))?).lines();
    lines
        .map(|line| {
            let mut stop: Stop = serde_json::from_str(&line?)?;
            stop.stack = stacks[stop.place..stop.place + stop.size].to_vec();
            Ok(stop)
        })
        .collect()
}

impl Stop {
    /// Whether gdb found its way to the thread's first function, so that its word counts, and the copy reaches so far.
    pub fn is_witnessed(&self) -> bool {
        let last = self.names.last().and_then(Option::as_deref);
        !self.is_cut && last.is_some_and(|name| FIRST.contains(&name))
    }

    /// The copy, with all registers or with those that the kernel tells of a sleeping thread.
    pub fn copy(&self, all: bool) -> Snapshot {
        let mut registers = Registers::new(self.registers[7], self.registers[16]);
        if all {
            for (number, value) in NUMBERS.into_iter().zip(&self.registers) {
                registers.set(number, Some(*value));
            }
        }
        Snapshot::new(registers, self.start, self.stack.clone())
    }
}
