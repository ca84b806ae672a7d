//! The memory of a thread's log: addresses of its own, of which a part can be written, as far as the budget goes.

use std::sync::atomic::Ordering;

use super::CAPACITY;
use super::asm::call;
use super::state::ThreadState;
use crate::budget;

/// A log's first pieces lie in small pages, so that a thread with few calls takes little memory. What follows lies in
/// huge ones, where the system has them: otherwise every fourth call would wait for a fresh page.
const SMALL: usize = 256 << 10;
const HUGE: usize = 2 << 20;
/// So much is opened for the thread that begins.
const AHEAD: usize = 8 << 20;

impl ThreadState {
    /// Gets addresses for the log, and the first memory, all zeroes.
    pub fn reserve(&self) -> bool {
        let capacity = budget::addresses(CAPACITY.load(Ordering::Relaxed)) & !4095;
        let start = self.start.load(Ordering::Relaxed);
        let last = self.last.load(Ordering::Relaxed);
        if start != 0 && last - start == capacity {
            self.give_back();
        } else {
            unmap(start, last);
            self.start.store(0, Ordering::Relaxed);
            if !self.map(capacity) {
                return false;
            }
        }
        let start = self.start.load(Ordering::Relaxed);
        self.next.store(start, Ordering::Relaxed);
        self.end.store(start, Ordering::Relaxed);
        self.grow()
    }

    /// Nothing can be written there yet, so that it costs nothing, also where the system gives no more than it has.
    fn map(&self, capacity: usize) -> bool {
        let rights = libc::PROT_NONE as usize;
        let flags = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE) as usize;
        let whole = capacity + HUGE + SMALL;
        let mapped = call(libc::SYS_mmap, [0, whole, rights, flags, usize::MAX, 0]);
        if mapped < 0 {
            return false;
        }
        let mapped = mapped as usize;
        let huge = (mapped + SMALL).next_multiple_of(HUGE);
        let (start, end) = (huge - SMALL, huge - SMALL + capacity);
        unmap(mapped, start);
        unmap(end, mapped + whole);
        // A system without them says no, and the pages are small.
        let advice = libc::MADV_HUGEPAGE as usize;
        call(
            libc::SYS_madvise,
            [huge, end.saturating_sub(huge), advice, 0, 0, 0],
        );
        self.start.store(start, Ordering::Relaxed);
        self.open.store(start, Ordering::Relaxed);
        self.last.store(end, Ordering::Relaxed);
        true
    }

    /// Makes room for the calls of most cells now, when nobody waits for it.
    pub fn warm(&self) {
        let most = AHEAD.min(budget::memory_budget() / 4);
        let size = || self.end.load(Ordering::Relaxed) - self.start.load(Ordering::Relaxed);
        while size() < most && self.grow() {}
    }

    /// Makes room behind the end, if the addresses and the budget have it.
    pub fn grow(&self) -> bool {
        // A handler that interrupts this one does without.
        if self.grows.swap(true, Ordering::Acquire) {
            return false;
        }
        let end = self.end.load(Ordering::Relaxed);
        let size = end - self.start.load(Ordering::Relaxed);
        let more = budget::step(size);
        let new = (end + more).min(self.last.load(Ordering::Relaxed));
        let has_grown = new > end && budget::take(new - end, size);
        if has_grown {
            self.taken.fetch_add(new - end, Ordering::Relaxed);
        }
        let is_open = has_grown && self.open_up_to(new);
        if is_open {
            self.end.store(new, Ordering::Relaxed);
        }
        self.grows.store(false, Ordering::Release);
        is_open
    }

    fn open_up_to(&self, new: usize) -> bool {
        let open = self.open.load(Ordering::Relaxed);
        if new <= open {
            return true;
        }
        let rights = (libc::PROT_READ | libc::PROT_WRITE) as usize;
        let opened = call(libc::SYS_mprotect, [open, new - open, rights, 0, 0, 0]) == 0;
        if opened {
            self.open.store(new, Ordering::Relaxed);
        }
        opened
    }

    /// Gives the memory of the log back; it reads as zeroes afterwards.
    pub fn give_back(&self) {
        budget::give_back(self.taken.swap(0, Ordering::Relaxed));
        let start = self.start.load(Ordering::Relaxed);
        let used = self.next.load(Ordering::Relaxed).saturating_sub(start);
        if used > 0 {
            let advice = libc::MADV_DONTNEED as usize;
            let end = self.open.load(Ordering::Relaxed);
            let used = (start + used).next_multiple_of(HUGE).min(end) - start;
            call(libc::SYS_madvise, [start, used, advice, 0, 0, 0]);
        }
    }
}

fn unmap(start: usize, end: usize) {
    if end > start {
        call(libc::SYS_munmap, [start, end - start, 0, 0, 0, 0]);
    }
}
