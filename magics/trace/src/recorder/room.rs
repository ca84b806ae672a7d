//! The memory of a thread's log: addresses of its own, of which a part can be written, as far as the budget goes.

use std::ptr;
use std::sync::atomic::Ordering;

use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mmap_anonymous, mprotect};

use super::writer::{CAPACITY, MOST, Writer};
use crate::budget;
use crate::event::Event;

/// So much of a thread's memory is kept for the next recording.
pub(super) const KEPT: usize = 4 << 20;
/// Who has written so much is given memory ahead.
const BUSY: usize = 64 << 10;
/// So much at once, since others wait meanwhile who change the process's mappings.
const PIECE: usize = 1 << 20;
/// No more than this is given ahead.
const FARTHEST: usize = 16 << 20;

impl Writer {
    /// Gets addresses, if the writer has none yet. Nothing can be written there yet, so that they cost nothing, also
    /// where the system gives no more than it has.
    #[allow(unsafe_code, reason = "memory straight from the system")]
    pub(super) fn reserve(&self) -> bool {
        if self.start.load(Ordering::Relaxed) != 0 {
            return true;
        }
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        let size = budget::addresses(MOST * size_of::<Event>()) / PIECE * PIECE;
        // SAFETY: a new mapping where the system likes it.
        let mapped = unsafe { mmap_anonymous(ptr::null_mut(), size, ProtFlags::empty(), flags) };
        let Ok(memory) = mapped else {
            self.owner.store(0, Ordering::Release);
            return false;
        };
        self.reserved.store(size, Ordering::Relaxed);
        self.start.store(memory.addr(), Ordering::Release);
        true
    }

    /// Makes more room behind the end, if the recording, the addresses and the budget have it.
    #[allow(unsafe_code, reason = "memory straight from the system")]
    pub(super) fn grow(&self) -> bool {
        let start = self.start.load(Ordering::Relaxed);
        let size = self.negated_end.load(Ordering::Relaxed).wrapping_neg() - start;
        let most = (CAPACITY.load(Ordering::Relaxed) * size_of::<Event>())
            .min(self.reserved.load(Ordering::Relaxed));
        let larger = (size + budget::step(size)).min(most);
        let more = larger - size;
        let can_be_taken = more > 0 && budget::take(more, size);
        if !can_be_taken {
            self.may_grow.store(0, Ordering::Relaxed);
            return false;
        }
        self.taken.fetch_add(more, Ordering::Relaxed);
        let open = self.open.load(Ordering::Relaxed);
        let pages = larger
            .next_multiple_of(budget::PAGES)
            .min(self.reserved.load(Ordering::Relaxed));
        if pages > open {
            let rights = MprotectFlags::READ | MprotectFlags::WRITE;
            let first = (start + open) as *mut _;
            // SAFETY: the memory is ours, and nobody writes where nothing can be written.
            if unsafe { mprotect(first, pages - open, rights) }.is_err() {
                self.may_grow.store(0, Ordering::Relaxed);
                return false;
            }
            self.open.store(pages, Ordering::Relaxed);
        }
        self.negated_end
            .store((start + larger).wrapping_neg(), Ordering::Relaxed);
        true
    }

    /// Makes room if there is none: then the place is noted anew, since it may have found none.
    pub(super) fn make_room(&self) {
        let end = self.negated_end.load(Ordering::Relaxed).wrapping_neg();
        if self.next.load(Ordering::Relaxed) == end && self.grow() {
            self.not_last.store(usize::MAX, Ordering::Relaxed);
        }
    }

    /// Gives back what was taken of the budget.
    pub(super) fn give_back(&self) {
        budget::give_back(self.taken.swap(0, Ordering::Relaxed));
    }

    /// Has the system give the first part of the memory now, and not page by page while it is written.
    #[allow(unsafe_code, reason = "memory straight from the system")]
    pub(super) fn warm(&self) {
        let most = KEPT.min(budget::memory_budget() / 4);
        while self.open.load(Ordering::Relaxed) < most && self.grow() {}
        self.give(0, self.open.load(Ordering::Relaxed).min(KEPT));
    }

    /// Has the system give what may soon be written: the more was written, the more.
    pub(super) fn populate(&self) {
        let start = self.start.load(Ordering::Acquire);
        let used = self.next.load(Ordering::Relaxed).saturating_sub(start);
        if used < BUSY {
            return;
        }
        let most = used + used.clamp(KEPT, FARTHEST);
        let most = most.min(self.open.load(Ordering::Relaxed));
        let mut ready = self.ready.load(Ordering::Relaxed);
        while ready + PIECE <= most && self.give(ready, PIECE) {
            ready += PIECE;
        }
    }

    #[allow(unsafe_code, reason = "memory straight from the system")]
    fn give(&self, from: usize, size: usize) -> bool {
        let start = self.start.load(Ordering::Relaxed) + from;
        // SAFETY: the memory is ours. An older system that cannot do it gives the pages later.
        let given = unsafe { madvise(start as *mut _, size, Advice::LinuxPopulateWrite) }.is_ok();
        self.ready.fetch_max(from + size, Ordering::Relaxed);
        given
    }
}
