//! The lanes in which cells run one after the other, each on a thread of its own: which cell ran last there, and what it
//! changed.

use diaphane_forks::{ForkOnce, ProcessLock};
use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use diaphane_sight::threads::running_cells;
use diaphane_sight::threads::running_cells::CellId;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::session::crash_notes;
use crate::session::deltas::{Delta, StateBefore};
use crate::session::journal;
use crate::session::journal::Changes;

/// One lane; a thread that runs cells has one.
#[derive(Debug)]
pub(crate) struct Lane {
    number: u64,
}

/// What is known of the lanes, by their numbers. Not in the lanes, since a lock in there would be no `ProcessLock`.
static STATES: ProcessLock<HashMap<u64, State>> = ProcessLock::new(HashMap::new);

#[derive(Debug, Default)]
struct State {
    running: Option<Mark>,
    previous: Option<Mark>,
    /// What its last cells changed, the latest at the end.
    deltas: VecDeque<Arc<Delta>>,
}

/// Of so many cells of a lane it is known what they changed.
const MOST_DELTAS: usize = 500;

/// A cell with a number, and when it began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    pub number: u32,
    /// How many cells had begun then, with this one; see `journal::Came`.
    pub begun: u64,
}

thread_local! {
    static OF_THREAD: RefCell<Option<Arc<Lane>>> = const { RefCell::new(None) };
}

/// The lane in which a cell began last, for questions from threads that run none.
static LATEST: ProcessLock<Option<Arc<Lane>>> = ProcessLock::new(|| None);

/// The number of the cell that the calling thread works for.
pub(crate) fn running_cell() -> Option<u32> {
    running_cells::of_this_thread()?.number()
}

/// The cell that ended last in the lane of the calling thread, or else the one that runs there; `None` where nobody
/// counts cells.
pub(crate) fn last_cell() -> Option<Mark> {
    here()?.with(|state| state.previous.or(state.running))
}

/// What the cell changed that ended last in the lane of the calling thread.
pub(crate) fn last_delta() -> Option<Arc<Delta>> {
    here()?.with(|state| state.deltas.back().cloned())
}

/// What the cell of a number changed, in whatever lane it ran.
pub(crate) fn delta_of(number: u32) -> Option<Arc<Delta>> {
    let states = STATES.lock();
    let mut all = states.values().flat_map(|state| state.deltas.iter().rev());
    all.find(|delta| delta.cell() == Some(number)).cloned()
}

fn here() -> Option<Arc<Lane>> {
    let own = OF_THREAD.with_borrow(Clone::clone);
    own.or_else(|| latest(|lane| lane.clone()))
}

fn latest<T>(run: impl FnOnce(&mut Option<Arc<Lane>>) -> T) -> T {
    run(&mut LATEST.lock())
}

impl Lane {
    /// That of the calling thread, which may have none yet.
    fn enter() -> Arc<Self> {
        let lane = OF_THREAD.with_borrow_mut(|lane| Arc::clone(lane.get_or_insert_with(Self::new)));
        // The one before is dropped without the lock.
        drop(latest(|latest| latest.replace(Arc::clone(&lane))));
        lane
    }

    fn new() -> Arc<Self> {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let number = LAST.fetch_add(1, Ordering::Relaxed);
        Arc::new(Self { number })
    }

    fn with<T>(&self, run: impl FnOnce(&mut State) -> T) -> T {
        run(STATES.lock().entry(self.number).or_default())
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        let state = STATES.lock().remove(&self.number);
        drop(state);
    }
}

/// Who is to hear that a cell has ended.
static HEARER: ForkOnce<fn(CellId)> = ForkOnce::new();

/// Has a function called whenever a cell has ended, on its thread and before its reply; there is one for all.
pub(crate) fn hear_ends(hear: fn(CellId)) {
    HEARER.get_or_init(|| hear);
}

/// A cell that runs: opened by who runs it, on the thread that does, and closed at its end.
pub(crate) struct CellScope {
    cell: CellId,
    lane: Arc<Lane>,
    before: StateBefore,
    process: u32,
    has_ended: bool,
}

impl CellScope {
    /// A cell begins. What one without a number brings belongs to no number.
    pub fn open(number: Option<u32>, namespace: &Bound<'_, PyDict>) -> Self {
        let lane = Lane::enter();
        let cell = running_cells::begin(number);
        let begun = journal::begin_cell(cell);
        crash_notes::note(namespace);
        lane.with(|state| state.running = number.map(|number| Mark { number, begun }));
        Self {
            cell,
            lane,
            before: StateBefore::now(namespace),
            process: std::process::id(),
            has_ended: false,
        }
    }

    pub fn cell(&self) -> CellId {
        self.cell
    }

    /// The cell has ended. What it changed; nothing in the child of a fork, where it goes on for a moment.
    pub fn close(mut self, namespace: &Bound<'_, PyDict>) -> Option<Arc<Delta>> {
        let changes = self.end()?;
        let delta = Arc::new(self.before.until_now(self.cell, &changes, namespace));
        self.lane.with(|state| {
            state.previous = state.running.take().or(state.previous);
            if state.deltas.len() >= MOST_DELTAS {
                state.deltas.pop_front();
            }
            state.deltas.push_back(Arc::clone(&delta));
        });
        Some(delta)
    }

    fn end(&mut self) -> Option<Changes> {
        self.has_ended = true;
        // A child has no business with our locks, which another thread may have held at the fork.
        (self.process == std::process::id()).then(|| {
            running_cells::end(self.cell);
            // Who hears of it now finds that it does not run any more.
            if let Some(hear) = HEARER.get() {
                hear(self.cell);
            }
            journal::end_cell(self.cell)
        })
    }
}

impl Drop for CellScope {
    /// A cell that nobody closed runs no longer either.
    fn drop(&mut self) {
        if !self.has_ended {
            self.end();
        }
    }
}
