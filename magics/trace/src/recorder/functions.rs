//! The numbers of functions: an event has a number, and this is the address behind it.
//!
//! A number is given once and never taken back, since a trampoline that bears it may be run at any time.

use std::collections::HashMap;

use crate::event::kind;
use diaphane_forks::ProcessLock;

#[derive(Default)]
struct Known {
    numbers: HashMap<usize, u32>,
    addresses: Vec<usize>,
}

static KNOWN: ProcessLock<Option<Known>> = ProcessLock::new(|| None);

/// The number of the function at an address; `None` when there are too many.
pub fn register(address: usize) -> Option<u32> {
    let mut known = KNOWN.lock();
    let known = known.get_or_insert_default();
    if let Some(&number) = known.numbers.get(&address) {
        return Some(number);
    }
    let number = u32::try_from(known.addresses.len()).ok();
    let number = number.filter(|&number| number < kind::FIRST)?;
    known.addresses.push(address);
    known.numbers.insert(address, number);
    Some(number)
}

/// The address of the function with a number.
pub fn address_of(number: u32) -> Option<usize> {
    let known = KNOWN.lock();
    known.as_ref()?.addresses.get(number as usize).copied()
}

/// The addresses of all functions, by their numbers.
pub fn addresses() -> Vec<usize> {
    let known = KNOWN.lock();
    known
        .as_ref()
        .map_or_else(Vec::new, |known| known.addresses.clone())
}
