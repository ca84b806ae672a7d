//! The allocator of the kernel's own code: malloc, but for the io thread when it tells of the process's death.
//!
//! Whoever died may have died with malloc's lock, or have ruined its blocks, and a thread's own cache has blocks of all
//! threads. So the last words are made in memory that was put aside, and nothing is given back.
//!
//! Where malloc has no memory any more, there is a little (`spare.rs`).
//! What it hands out is counted, so that `%memory` can tell it from the user's.
#![allow(unsafe_code, reason = "it is an allocator")]

mod spare;

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

use diaphane_sight::crash::handler;
use diaphane_sight::own_memory::{note_given, note_taken};

/// As much as the last words take at most, and several times.
const SIZE: usize = 32 << 20;

/// Where the memory begins that was put aside; 0 without any.
static START: AtomicUsize = AtomicUsize::new(0);
/// How much of it is used.
static USED: AtomicUsize = AtomicUsize::new(0);

/// The allocator.
pub struct LastWordsAllocator;

#[global_allocator]
static ALLOCATOR: LastWordsAllocator = LastWordsAllocator;

/// Puts memory aside, which comes with its first use.
pub fn reserve() {
    let rights = libc::PROT_READ | libc::PROT_WRITE;
    let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a new mapping at an address that the kernel chooses touches nobody's memory.
    let memory = unsafe { libc::mmap(ptr::null_mut(), SIZE + spare::size(), rights, kind, -1, 0) };
    if memory != libc::MAP_FAILED {
        START.store(memory.expose_provenance(), Ordering::Release);
        spare::set(memory.addr() + SIZE);
    }
}

/// Memory that was put aside, for the thread that tells; nothing for others.
fn aside(layout: Layout) -> Option<*mut u8> {
    if !handler::is_dying() || !handler::is_reporter() {
        return None;
    }
    let start = START.load(Ordering::Acquire);
    // Only this thread comes here.
    let used = USED.load(Ordering::Relaxed);
    let at = (start + used).next_multiple_of(layout.align());
    let end = at - start + layout.size();
    (start != 0 && end <= SIZE).then(|| {
        USED.store(end, Ordering::Relaxed);
        ptr::with_exposed_provenance_mut(at)
    })
}

/// Whether nothing is to be given back: it was put aside, or the process ends.
fn is_kept(place: *mut u8) -> bool {
    let start = START.load(Ordering::Relaxed);
    place.addr().wrapping_sub(start) < SIZE || (handler::is_dying() && handler::is_reporter())
}

/// Counts memory that malloc has handed out.
fn counted(place: *mut u8, size: usize) -> *mut u8 {
    if !place.is_null() {
        note_taken(size);
    }
    place
}

/// The block itself, or where malloc had none one of the spare memory.
fn or_spare(place: *mut u8, layout: Layout) -> *mut u8 {
    match place.is_null() {
        true => spare::take(layout),
        false => place,
    }
}

// SAFETY: memory that was put aside is handed out once, a spare block is nobody else's until it is given back, and all
// else is malloc's.
unsafe impl GlobalAlloc for LastWordsAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        aside(layout).unwrap_or_else(|| {
            // SAFETY: by the caller's word.
            let place = or_spare(unsafe { System.alloc(layout) }, layout);
            counted(place, layout.size())
        })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // What was put aside is zero, as all new memory.
        aside(layout).unwrap_or_else(|| {
            // SAFETY: by the caller's word.
            let place = or_spare(unsafe { System.alloc_zeroed(layout) }, layout);
            if spare::has(place) {
                // SAFETY: the block has this size.
                unsafe { ptr::write_bytes(place, 0, layout.size()) };
            }
            counted(place, layout.size())
        })
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        if is_kept(place) {
            return;
        }
        note_given(layout.size());
        if spare::has(place) {
            return spare::give_back(place);
        }
        // SAFETY: by the caller's word; it is malloc's.
        unsafe { System.dealloc(place, layout) };
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !is_kept(place) && !spare::has(place) {
            // SAFETY: by the caller's word; it is malloc's.
            let new = unsafe { System.realloc(place, layout, size) };
            if !new.is_null() {
                note_given(layout.size());
                return counted(new, size);
            }
        }
        if spare::has(place) && spare::resize(place, size) {
            note_given(layout.size());
            return counted(place, size);
        }
        // SAFETY: the size is the caller's, which fits the alignment.
        let new = unsafe { self.alloc(Layout::from_size_align_unchecked(size, layout.align())) };
        if !new.is_null() {
            // SAFETY: both are at least as large, and the new one is nobody else's.
            unsafe { ptr::copy_nonoverlapping(place, new, layout.size().min(size)) };
            // SAFETY: by the caller's word, the old one is used no more.
            unsafe { self.dealloc(place, layout) };
        }
        new
    }
}
