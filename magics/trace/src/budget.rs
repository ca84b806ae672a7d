//! The memory that recordings may take in this process: one budget for all threads, and for all recordings that run at
//! once. Logs reserve addresses, and take memory from the budget piece by piece, as they are written.

use std::sync::atomic::{AtomicUsize, Ordering};

use diaphane_sight::proc::memory_limits;

/// The most, if the system has more than enough.
const MOST: usize = 256 << 20;
/// The part of what the limits leave that is taken at the most, since a report takes several times as much while it is
/// made; and no less than this: what a control group counts as used is also what the system would give back.
const PART: usize = 16;
const LEAST: usize = 4 << 20;
/// No log reserves less than this.
const FEWEST: usize = 1 << 20;
/// Threads that could use up the budget, where addresses are limited.
const THREADS: usize = 4;

/// Logs grow by multiples of this.
pub(crate) const PAGES: usize = 64 << 10;

/// How much may be taken, and how much is.
static LIMIT: AtomicUsize = AtomicUsize::new(MOST);
static TAKEN: AtomicUsize = AtomicUsize::new(0);
/// How many addresses a log may reserve.
static ADDRESSES: AtomicUsize = AtomicUsize::new(usize::MAX);

/// A recording begins: looks how much there may be.
pub(crate) fn open() {
    let limits = memory_limits::all();
    let left = limits
        .iter()
        .map(|one| usize::try_from(one.limit.saturating_sub(one.used)).unwrap_or(usize::MAX))
        .min();
    let limit = left.map_or(MOST, |left| (left / PART).clamp(LEAST, MOST));
    LIMIT.store(limit, Ordering::Relaxed);
    let is_limited = limits.iter().any(|one| one.name.starts_with("RLIMIT"));
    let addresses = if is_limited {
        (limit / THREADS).max(FEWEST)
    } else {
        usize::MAX
    };
    ADDRESSES.store(addresses, Ordering::Relaxed);
}

/// How many addresses a log reserves that wants so many.
pub(crate) fn addresses(wanted: usize) -> usize {
    wanted.min(ADDRESSES.load(Ordering::Relaxed))
}

/// By how much a log grows that has so much: it doubles, within a part of the budget.
pub(crate) fn step(has: usize) -> usize {
    let limit = LIMIT.load(Ordering::Relaxed);
    let first = (limit / 64).clamp(PAGES, 4 * PAGES) / PAGES * PAGES;
    let most = (limit / 16).clamp(first, 64 * PAGES) / PAGES * PAGES;
    has.clamp(first, most)
}

/// Takes so much for a log that has so much already, if there is so much. It may run in a signal handler.
pub(crate) fn take(size: usize, has: usize) -> bool {
    let limit = LIMIT.load(Ordering::Relaxed);
    // The last quarter is for those who have nothing yet.
    let limit = if has > 0 { limit - limit / 4 } else { limit };
    let (success, failure) = (Ordering::AcqRel, Ordering::Relaxed);
    let more = |taken: usize| taken.checked_add(size).filter(|taken| *taken <= limit);
    TAKEN.fetch_update(success, failure, more).is_ok()
}

/// Gives so much back that was taken. It may run in a signal handler.
pub(crate) fn give_back(size: usize) {
    TAKEN.fetch_sub(size, Ordering::AcqRel);
}

/// How much recordings may take in this process, in bytes.
#[must_use]
pub fn memory_budget() -> usize {
    LIMIT.load(Ordering::Relaxed)
}
