//! How much memory the program's own code holds, as its allocator counts it: what answers and recordings leave behind is
//! not the user's.

use std::sync::atomic::{AtomicUsize, Ordering};

static HELD: AtomicUsize = AtomicUsize::new(0);

/// The allocator has handed out so many bytes.
pub fn note_taken(bytes: usize) {
    HELD.fetch_add(bytes, Ordering::Relaxed);
}

/// So many bytes were given back to the allocator.
pub fn note_given(bytes: usize) {
    HELD.fetch_sub(bytes, Ordering::Relaxed);
}

/// The bytes that are held now; 0 where no allocator counts.
#[must_use]
pub fn held() -> usize {
    HELD.load(Ordering::Relaxed)
}
