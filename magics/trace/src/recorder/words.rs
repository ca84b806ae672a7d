//! Which arguments of a function are kept, and how they are read when it is entered.
//!
//! The reading follows the C calling convention and the function's own signature: what is followed as a pointer here is
//! followed by the function itself a moment later.

use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use super::asm::Saved;

/// The most words of one call.
const MOST: usize = 48;
/// The integer arguments that are passed in registers.
const IN_REGISTERS: u8 = 6;

/// One thing to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Take {
    /// The integer or pointer argument of this number, counted from 0 without the floating-point ones.
    Integer(u8),
    /// The lower 64 bits of the floating-point argument of this number, counted for itself.
    Float(u8),
    /// So many words where this argument points to.
    Pointed(u8, u8),
    /// The 32-bit number where this argument points to.
    Pointed32(u8),
    /// The byte where this argument points to.
    Pointed8(u8),
}

/// The vector registers as the processor saves them.
#[repr(C, align(64))]
#[derive(Debug)]
pub(super) struct State {
    control: [u8; 160],
    vectors: [[usize; 2]; 16],
}

/// The words of one call.
pub(super) struct Words {
    words: [usize; MOST],
    count: usize,
}

impl Default for Words {
    fn default() -> Self {
        Self {
            words: [0; MOST],
            count: 0,
        }
    }
}

impl Words {
    pub(super) fn as_slice(&self) -> &[usize] {
        &self.words[..self.count]
    }

    fn push(&mut self, word: usize) {
        if let Some(place) = self.words.get_mut(self.count) {
            *place = word;
            self.count += 1;
        }
    }
}

/// What to keep of each function, ordered by its number.
type Recipes = Vec<(u32, Vec<Take>)>;

/// Read at any moment, so an old table is never freed; a new one is made once for each set of libraries.
static RECIPES: AtomicPtr<Recipes> = AtomicPtr::new(ptr::null_mut());

/// Says what is to be kept of functions from now on.
pub fn learn(recipes: impl IntoIterator<Item = (u32, Vec<Take>)>) {
    let mut all = known().cloned().unwrap_or_default();
    let before = all.clone();
    for (function, takes) in recipes {
        match all.binary_search_by_key(&function, |(number, _)| *number) {
            Ok(place) => all[place].1 = takes,
            Err(place) => all.insert(place, (function, takes)),
        }
    }
    if all != before {
        RECIPES.store(Box::into_raw(Box::new(all)), Ordering::Release);
    }
}

/// What is kept of a function.
pub fn takes(function: u32) -> Option<&'static [Take]> {
    let recipes = known()?;
    let place = recipes
        .binary_search_by_key(&function, |(number, _)| *number)
        .ok()?;
    Some(&recipes[place].1)
}

#[allow(unsafe_code, reason = "tables are published by a pointer")]
fn known() -> Option<&'static Recipes> {
    // SAFETY: it is null or was leaked by `learn`, and is never written again.
    unsafe { RECIPES.load(Ordering::Acquire).as_ref() }
}

/// Reads what is to be kept of a call.
pub(super) fn read(function: u32, saved: &Saved, state: &State, words: &mut Words) {
    for &take in takes(function).unwrap_or_default() {
        match take {
            Take::Integer(number) => words.push(integer(saved, number)),
            Take::Float(number) => words.push(state.vectors[usize::from(number & 15)][0]),
            Take::Pointed(number, count) => {
                let from = integer(saved, number) as *const usize;
                for index in 0..usize::from(count) {
                    words.push(at(from.wrapping_add(index)).unwrap_or(0));
                }
            }
            Take::Pointed32(number) => {
                let from = integer(saved, number) as *const i32;
                words.push(at(from).unwrap_or(0) as isize as usize);
            }
            Take::Pointed8(number) => {
                let from = integer(saved, number) as *const u8;
                words.push(usize::from(at(from).unwrap_or(0)));
            }
        }
    }
}

fn integer(saved: &Saved, number: u8) -> usize {
    let registers = [
        saved.rdi, saved.rsi, saved.rdx, saved.rcx, saved.r8, saved.r9,
    ];
    if let Some(&register) = registers.get(usize::from(number)) {
        return register;
    }
    let behind = usize::from(number - IN_REGISTERS) + 1;
    at((&raw const saved.back).wrapping_add(behind)).unwrap_or(0)
}

#[allow(
    unsafe_code,
    reason = "arguments are read as the function itself will read them"
)]
fn at<T: Copy>(place: *const T) -> Option<T> {
    // SAFETY: the recipe belongs to the function that was called, whose signature says that a pointer which is not null
    // leads to so much memory; the stack behind the return address is the caller's.
    (!place.is_null()).then(|| unsafe { place.read_unaligned() })
}
