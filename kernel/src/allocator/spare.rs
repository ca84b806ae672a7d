//! Memory for when malloc has none: a cell may have used up all that a limit allows, and what is told of it needs some.
//!
//! Without it, Rust ends the process at the first allocation that fails, where Python raises a `MemoryError`.

use std::alloc::Layout;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// As much as most reports take. Who asks whether there is memory asks for more, so that this does not answer.
const SIZE: usize = 16 << 20;

/// Where it begins; 0 without any.
static START: AtomicUsize = AtomicUsize::new(0);
/// Whether somebody takes from it or gives back.
static IS_TAKEN: AtomicBool = AtomicBool::new(false);
/// How much of it is handed out, from its beginning. Changed by who has it taken.
static USED: AtomicUsize = AtomicUsize::new(0);
/// Where the block begins that was handed out last, which can grow; `usize::MAX` without one. Changed by who has it taken.
static LAST: AtomicUsize = AtomicUsize::new(usize::MAX);
/// How many blocks are in use; when none is, all of it is free again. Changed by who has it taken.
static BLOCKS: AtomicUsize = AtomicUsize::new(0);

/// Its memory, from its first address on.
pub fn set(start: usize) {
    START.store(start, Ordering::Release);
}

/// How large it is to be.
pub const fn size() -> usize {
    SIZE
}

/// A block of it; null where it is used up.
pub fn take(layout: Layout) -> *mut u8 {
    let start = START.load(Ordering::Acquire);
    if start == 0 {
        return ptr::null_mut();
    }
    let taken = alone(|| {
        let at = (start + USED.load(Ordering::Relaxed)).next_multiple_of(layout.align());
        let end = (at - start).saturating_add(layout.size());
        if end > SIZE {
            return ptr::null_mut();
        }
        USED.store(end, Ordering::Relaxed);
        LAST.store(at, Ordering::Relaxed);
        BLOCKS.fetch_add(1, Ordering::Relaxed);
        ptr::with_exposed_provenance_mut(at)
    });
    taken.unwrap_or(ptr::null_mut())
}

/// Whether a block is of it.
pub fn has(place: *mut u8) -> bool {
    let start = START.load(Ordering::Relaxed);
    // Without any, the null of an allocation that failed would be a block of it.
    start != 0 && place.addr().wrapping_sub(start) < SIZE
}

/// Gives a block another size where it lies, if it is the last one and there is room.
pub fn resize(place: *mut u8, size: usize) -> bool {
    let resized = alone(|| {
        let start = START.load(Ordering::Relaxed);
        let end = (place.addr() - start).saturating_add(size);
        let fits = place.addr() == LAST.load(Ordering::Relaxed) && end <= SIZE;
        if fits {
            USED.store(end, Ordering::Relaxed);
        }
        fits
    });
    resized.unwrap_or(false)
}

/// Gives a block back.
pub fn give_back(place: *mut u8) {
    // Where it fails, the memory is used up a little earlier.
    let _given = alone(|| {
        let is_last = place.addr() == LAST.load(Ordering::Relaxed);
        let none_is_left = BLOCKS.fetch_sub(1, Ordering::Relaxed) == 1;
        if none_is_left || is_last {
            let start = START.load(Ordering::Relaxed);
            let used = if none_is_left {
                0
            } else {
                place.addr() - start
            };
            USED.store(used, Ordering::Relaxed);
            LAST.store(usize::MAX, Ordering::Relaxed);
        }
    });
}

/// Runs a few instructions that no other thread runs meanwhile. In the child of a fork a thread that is not there may
/// have begun them: then nobody runs them any more.
fn alone<T>(run: impl FnOnce() -> T) -> Option<T> {
    const PATIENCE: usize = 1000;
    let is_free = (0..PATIENCE).any(|_| {
        let is_free = !IS_TAKEN.swap(true, Ordering::Acquire);
        if !is_free {
            std::thread::yield_now();
        }
        is_free
    });
    is_free.then(|| {
        let done = run();
        IS_TAKEN.store(false, Ordering::Release);
        done
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_memory_no_failed_allocation_is_taken_for_a_block() {
        assert!(!has(ptr::null_mut()));
        assert!(take(Layout::new::<u64>()).is_null());
    }
}
