//! The numbers of functions: an event has a number, and this is the address behind it.
//!
//! A number is given once and never taken back, since a trampoline that bears it may be run at any time.

use std::hash::BuildHasher;

use diaphane_forks::ProcessLock;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use rustc_hash::FxBuildHasher;

use crate::event::kind;

/// Of the addresses, of which there are hundreds of thousands, there is one copy.
#[derive(Default)]
struct Known {
    /// The numbers, to be found by the addresses behind them.
    numbers: HashTable<u32>,
    addresses: Vec<usize>,
}

static KNOWN: ProcessLock<Option<Known>> = ProcessLock::new(|| None);

/// The number of the function at an address; `None` when there are too many.
pub fn register(address: usize) -> Option<u32> {
    let mut known = KNOWN.lock();
    let Known { numbers, addresses } = known.get_or_insert_default();
    let hash = |address: usize| FxBuildHasher.hash_one(address);
    let behind = |number: &u32| addresses[*number as usize];
    let is_it = |number: &u32| behind(number) == address;
    match numbers.entry(hash(address), is_it, |number| hash(behind(number))) {
        Entry::Occupied(known) => Some(*known.get()),
        Entry::Vacant(vacant) => {
            let number = u32::try_from(addresses.len()).ok();
            let number = number.filter(|&number| number < kind::FIRST)?;
            vacant.insert(number);
            addresses.push(address);
            Some(number)
        }
    }
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
