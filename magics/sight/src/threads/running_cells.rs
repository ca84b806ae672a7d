//! Which cells run, and on which thread.
//!
//! Who runs a cell says so on the thread that does. A thread that was started belongs to the cell whose thread started
//! it, for as long as that cell runs. Where it is not known, what a thread does belongs to the only cell that runs; where
//! several run, to none.
//!
//! This is asked while a thread is started, so nothing is allocated and no lock is taken.

use std::cell::Cell;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use crate::proc::resource_usage::monotonic_ns;

/// Cells beyond this many at once are counted, and nothing that they do is ascribed to them.
const MOST: usize = 256;

/// A cell that runs or ran, which tells it from all others, also from one of the same number.
///
/// The upper half counts the cells from 1, the lower half is the number that the user sees, or 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CellId(u64);

impl CellId {
    /// The number that the user sees. Some cells have none.
    #[must_use]
    pub fn number(self) -> Option<u32> {
        Some(self.0 as u32).filter(|&number| number != 0)
    }

    pub(super) fn from_raw(raw: u64) -> Option<Self> {
        (raw != NOT_KNOWN && raw != BETWEEN).then_some(Self(raw))
    }

    pub(super) fn raw(cell: Option<Self>) -> u64 {
        cell.map_or(NOT_KNOWN, |cell| cell.0)
    }
}

/// No cell was said to run on the thread, nor on the one that started it.
const NOT_KNOWN: u64 = 0;
/// The thread runs cells, and none at the moment.
const BETWEEN: u64 = u64::MAX;

static RUNNING: [AtomicU64; MOST] = [const { AtomicU64::new(NOT_KNOWN) }; MOST];
/// Since when the cell at the same place of the list runs; 0 for a moment while that is written.
static SINCE: [AtomicU64; MOST] = [const { AtomicU64::new(0) }; MOST];
/// The thread that the cell at the same place of the list runs on.
static THREADS: [AtomicI32; MOST] = [const { AtomicI32::new(0) }; MOST];
/// How many run, those too that found no room in the list.
static COUNT: AtomicUsize = AtomicUsize::new(0);
static SERIAL: AtomicU32 = AtomicU32::new(0);

thread_local! {
    /// The cell of the thread.
    static OWN: Cell<u64> = const { Cell::new(NOT_KNOWN) };
}

/// A cell begins on the calling thread.
pub fn begin(number: Option<u32>) -> CellId {
    // Neither a serial number that came round nor a cell can make one of the two special values.
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed) % (u32::MAX - 1) + 1;
    let cell = CellId(u64::from(serial) << 32 | u64::from(number.unwrap_or(0)));
    COUNT.fetch_add(1, Ordering::Relaxed);
    let take = |place: &AtomicU64| {
        place
            .compare_exchange(NOT_KNOWN, cell.0, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    };
    if let Some(place) = RUNNING.iter().position(take) {
        THREADS[place].store(
            rustix::thread::gettid().as_raw_nonzero().get(),
            Ordering::Relaxed,
        );
        SINCE[place].store(monotonic_ns(), Ordering::Release);
    }
    OWN.set(cell.0);
    cell
}

/// The cells that run and since when by the monotonic clock, the one that has run for longest first.
pub fn running() -> Vec<(CellId, u64)> {
    if COUNT.load(Ordering::Relaxed) == 0 {
        return Vec::new();
    }
    let one = |(place, since): (&AtomicU64, &AtomicU64)| {
        let cell = CellId::from_raw(place.load(Ordering::Relaxed))?;
        let since = match since.load(Ordering::Acquire) {
            0 => monotonic_ns(),
            since => since,
        };
        Some((cell, since))
    };
    let mut running: Vec<_> = RUNNING.iter().zip(&SINCE).filter_map(one).collect();
    running.sort_unstable_by_key(|&(_, since)| since);
    running
}

/// The thread on which a cell runs.
pub fn thread_of(cell: CellId) -> Option<i32> {
    let at = place(cell.0)?;
    // The thread is written before the time.
    let is_written = SINCE[at].load(Ordering::Acquire) != 0;
    let thread = THREADS[at].load(Ordering::Relaxed);
    // It may have ended meanwhile, and another one begun at its place.
    (is_written && place(cell.0) == Some(at)).then_some(thread)
}

/// A cell that began has ended.
pub fn end(cell: CellId) {
    COUNT.fetch_sub(1, Ordering::Relaxed);
    if let Some(place) = place(cell.0) {
        SINCE[place].store(0, Ordering::Relaxed);
        RUNNING[place].store(NOT_KNOWN, Ordering::Release);
    }
    if OWN.get() == cell.0 {
        OWN.set(BETWEEN);
    }
}

/// The cell that the calling thread works for, as far as that is known.
pub fn of_this_thread() -> Option<CellId> {
    let own = OWN.get();
    if own == BETWEEN {
        return None;
    }
    if own != NOT_KNOWN && place(own).is_some() {
        return Some(CellId(own));
    }
    if COUNT.load(Ordering::Relaxed) != 1 {
        return None;
    }
    let load = |place: &AtomicU64| CellId::from_raw(place.load(Ordering::Relaxed));
    RUNNING.iter().find_map(load)
}

/// The calling thread was started for this cell.
pub(super) fn adopt(cell: Option<CellId>) {
    OWN.set(CellId::raw(cell));
}

fn place(cell: u64) -> Option<usize> {
    RUNNING
        .iter()
        .position(|place| place.load(Ordering::Relaxed) == cell)
}

#[cfg(test)]
pub(super) mod tests {
    use diaphane_forks::ProcessLock;
    use std::thread;

    use super::*;

    /// Which cells run is one fact of the process, which tests take turns to make.
    pub(crate) static TURN: ProcessLock<()> = ProcessLock::new(|| ());

    #[test]
    fn a_thread_works_for_its_cell_or_the_only_one() {
        let _turn = TURN.lock();
        let stranger = || thread::spawn(of_this_thread).join().unwrap();
        assert_eq!((of_this_thread(), stranger()), (None, None));
        assert_eq!(running(), []);
        let before = monotonic_ns();
        let first = begin(Some(5));
        assert_eq!(first.number(), Some(5));
        assert_eq!(
            thread_of(first),
            Some(rustix::thread::gettid().as_raw_nonzero().get())
        );
        assert_eq!((of_this_thread(), stranger()), (Some(first), Some(first)));

        let beside = thread::spawn(|| {
            let second = begin(None);
            assert_eq!((second.number(), of_this_thread()), (None, Some(second)));
            second
        });
        let second = beside.join().unwrap();
        assert_ne!(first, second);
        assert_eq!((of_this_thread(), stranger()), (Some(first), None));
        let [(one, since), (other, later)] = running()[..] else {
            panic!("{:?}", running());
        };
        assert_eq!((one, other), (first, second));
        assert!(before <= since && since <= later && later <= monotonic_ns());

        // A thread of a cell that ended is a stranger like any other; between two cells nothing is done for one.
        assert_ne!(thread_of(second), thread_of(first));
        end(first);
        assert_eq!(thread_of(first), None);
        let of_first = thread::spawn(move || {
            adopt(Some(first));
            of_this_thread()
        });
        assert_eq!(of_first.join().unwrap(), Some(second));
        assert_eq!(of_this_thread(), None);
        end(second);
        assert_eq!(stranger(), None);
    }
}
