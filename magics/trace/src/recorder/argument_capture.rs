//! Which arguments of a function are kept, and how they are read when it is entered.
//!
//! The reading follows the C calling convention and the function's own signature. A function need not look at every
//! argument, though, so that one may hold anything: what is no address is seen before it is followed.

use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use super::asm::{SavedRegisters, VectorRegisters};

/// The most words of one call.
const MOST: usize = 48;

/// One thing to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capture {
    /// The integer or pointer argument of this number, counted from 0 without the floating-point ones.
    Integer(u8),
    /// The lower 64 bits of the floating-point argument of this number, counted for itself.
    Float(u8),
    /// So many words where this argument points to.
    Pointed(u8, u8),
    /// The same where its caller always hands over an array of so many, as NumPy does to inner loops. It is not looked
    /// at before, which takes longer than many a loop.
    Array(u8, u8),
    /// The 32-bit number where this argument points to.
    Pointed32(u8),
    /// The byte where this argument points to.
    Pointed8(u8),
    /// The floating-point number of so many bytes where this argument points to. It is not read, and zeros are kept,
    /// where the call only asks how much room to work in is needed: it may be unset then.
    Real(u8, u8),
    /// Nothing: the integer, of 64 bits or not, where this argument points to is -1 if the call only asks. It comes
    /// before what depends on it.
    Asks(u8, bool),
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
type CaptureSpecs = Vec<(u32, Vec<Capture>)>;

/// Read at any moment, so an old table is never freed; a new one is made once for each set of libraries.
static CAPTURE_SPECS: AtomicPtr<CaptureSpecs> = AtomicPtr::new(ptr::null_mut());

/// Says what is to be kept of functions from now on.
pub fn learn(specs: impl IntoIterator<Item = (u32, Vec<Capture>)>) {
    let mut all = known().cloned().unwrap_or_default();
    let before = all.clone();
    for (function, captures) in specs {
        match all.binary_search_by_key(&function, |(number, _)| *number) {
            Ok(place) => all[place].1 = captures,
            Err(place) => all.insert(place, (function, captures)),
        }
    }
    if all != before {
        CAPTURE_SPECS.store(Box::into_raw(Box::new(all)), Ordering::Release);
    }
}

/// What is kept of a function.
pub fn capture_spec(function: u32) -> Option<&'static [Capture]> {
    let specs = known()?;
    let place = specs
        .binary_search_by_key(&function, |(number, _)| *number)
        .ok()?;
    Some(&specs[place].1)
}

#[allow(unsafe_code, reason = "tables are published by a pointer")]
fn known() -> Option<&'static CaptureSpecs> {
    // SAFETY: it is null or was leaked by `learn`, and is never written again.
    unsafe { CAPTURE_SPECS.load(Ordering::Acquire).as_ref() }
}

/// Reads what is to be kept of a call; all of it, or nothing.
pub(super) fn read(
    function: u32,
    saved: &SavedRegisters,
    state: &VectorRegisters,
    words: &mut Words,
) {
    let mut reader = Reader::default();
    for &capture in capture_spec(function).unwrap_or_default() {
        if reader.keep(capture, saved, state, words).is_none() {
            words.count = 0;
            return;
        }
    }
}

/// What was found out about the arguments of one call.
#[derive(Default)]
struct Reader {
    /// Whether it only asks how much room to work in is needed.
    asks: bool,
    /// The piece of memory that was looked at last, and is there.
    known: Option<usize>,
}

impl Reader {
    fn keep(
        &mut self,
        capture: Capture,
        saved: &SavedRegisters,
        state: &VectorRegisters,
        words: &mut Words,
    ) -> Option<()> {
        match capture {
            Capture::Integer(number) => words.push(saved.integer(number)),
            Capture::Float(number) => words.push(state.float(number)),
            Capture::Pointed(number, count) => {
                let from = saved.integer(number) as *const usize;
                for index in 0..usize::from(count) {
                    words.push(self.at(from.wrapping_add(index))?);
                }
            }
            Capture::Array(number, count) => {
                let from = saved.integer(number) as *const usize;
                for index in 0..usize::from(count) {
                    words.push(item(from, index));
                }
            }
            Capture::Pointed32(number) => {
                words.push(self.at(saved.integer(number) as *const i32)? as isize as usize);
            }
            Capture::Pointed8(number) => {
                words.push(usize::from(self.at(saved.integer(number) as *const u8)?));
            }
            Capture::Asks(number, is_wide) => {
                let from = saved.integer(number);
                self.asks = match is_wide {
                    true => self.at(from as *const i64)? == -1,
                    false => self.at(from as *const i32)? == -1,
                };
            }
            Capture::Real(_, size) if self.asks => {
                (0..size.div_ceil(8)).for_each(|_| words.push(0));
            }
            Capture::Real(number, 4) => {
                words.push(self.at(saved.integer(number) as *const u32)? as usize);
            }
            Capture::Real(number, size) => {
                return self.keep(Capture::Pointed(number, size / 8), saved, state, words);
            }
        }
        Some(())
    }

    /// What lies there, and nothing where that cannot be read: a function need not look at all of its arguments, so
    /// that a caller may leave some unset. Behind a null pointer are zeros.
    #[allow(
        unsafe_code,
        reason = "arguments are read as the function will read them"
    )]
    fn at<T: Copy + Default>(&mut self, place: *const T) -> Option<T> {
        if place.is_null() {
            return Some(T::default());
        }
        let (first, last) = (place.addr(), place.addr().checked_add(size_of::<T>() - 1)?);
        if !self.is_there(first) || !self.is_there(last) {
            return None;
        }
        // SAFETY: the kernel could read both ends a moment ago, and they are in one page or in two neighbours; memory
        // that a function is given is not taken away while it is called.
        Some(unsafe { place.read_unaligned() })
    }

    fn is_there(&mut self, address: usize) -> bool {
        let piece = address / PIECE;
        let is_there = self.known == Some(piece) || is_readable(address);
        self.known = is_there.then_some(piece);
        is_there
    }
}

/// Memory is there or not in pieces of this size, the smallest that pages have.
const PIECE: usize = 4096;

/// Whether the kernel can read at this address. It is asked by a call that no sandbox denies: one that reads a set of
/// signals before it finds that nothing is to be done with it.
#[allow(unsafe_code, reason = "the kernel looks at an address")]
fn is_readable(address: usize) -> bool {
    const NOTHING: i32 = -1;
    // A set has eight bytes, which must not reach into the next page.
    let set = address & !7;
    // SAFETY: it is the calling thread's own.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let before = unsafe { *errno };
    // SAFETY: the kernel checks the address, and changes nothing since it is not said what to change.
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, NOTHING, set, 0_usize, 8_usize) };
    // SAFETY: as above. The call has failed: what to do was no valid wish.
    let why = unsafe { std::mem::replace(&mut *errno, before) };
    why == libc::EINVAL
}

#[allow(unsafe_code, reason = "arrays are read as the function will read them")]
fn item(array: *const usize, index: usize) -> usize {
    // SAFETY: who gave the capture spec knows that all callers hand over an array with so many items.
    unsafe { array.add(index).read_unaligned() }
}
