//! Which cell brought what: the libraries that it loaded and the threads that it started.
//!
//! There is one journal, since a process has one list of libraries and one of threads. When a cell begins or ends, and
//! when a magic asks, what is there now is compared with what was there before. Where one cell ran in between, all of it
//! came with that one. Where several did, a library belongs to the cell whose thread asked for it, as far as Python was
//! told, and a thread to the cell whose thread started it; what is left may be any of theirs. Where nobody says that
//! cells run, nothing belongs to one.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use diaphane_forks::{ProcessLock, ProcessLockGuard};
use diaphane_sight::crash::black_box;
use diaphane_sight::linker::libraries::Library;
use diaphane_sight::linker::link_map;
use diaphane_sight::linker::link_map::Counters;
use diaphane_sight::proc::tasks;
use diaphane_sight::threads::creation_records::creation_records;
use diaphane_sight::threads::running_cells::CellId;

use crate::session::import_audit;

/// What came with which cell; without one it was there before the first one, came between two, or with one of several.
#[derive(Debug, Default)]
struct Journal {
    running: Vec<Running>,
    begun: u64,
    counters: Counters,
    libraries: HashMap<Image, Came>,
    threads: HashMap<i32, Option<CellId>>,
}

/// A cell that runs.
#[derive(Debug)]
struct Running {
    cell: CellId,
    changes: Changes,
}

/// What came and went while a cell ran.
#[derive(Debug, Clone, Default)]
pub(crate) struct Changes {
    /// With this cell.
    pub own: Traffic,
    /// With this cell or with one of those that ran beside it.
    pub unclear: Traffic,
    /// The cells that ran beside it.
    pub beside: Vec<CellId>,
}

/// What came and went.
#[derive(Debug, Clone, Default)]
pub(crate) struct Traffic {
    /// Images that were loaded.
    pub loaded: Vec<Image>,
    /// Images that were unloaded.
    pub unloaded: Vec<Image>,
    /// The numbers of threads that were started and still live.
    pub started: Vec<i32>,
}

/// What tells one loaded image from another: the distance from its file's addresses to those in memory, and its name.
pub(crate) type Image = (usize, String);

/// When a library came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Came {
    /// With which cell.
    pub cell: Option<CellId>,
    /// How many cells had begun.
    pub begun: u64,
}

static JOURNAL: ProcessLock<Option<Journal>> = ProcessLock::new(|| None);

/// Takes note of what is there before the first cell.
pub(crate) fn open() {
    observe();
}

/// A cell begins. How many have begun now.
pub(crate) fn begin_cell(cell: CellId) -> u64 {
    let mut journal = observed();
    let journal = journal.get_or_insert_default();
    journal.begun += 1;
    let mut changes = Changes::default();
    for other in &mut journal.running {
        other.changes.beside.push(cell);
        changes.beside.push(other.cell);
    }
    journal.running.push(Running { cell, changes });
    journal.begun
}

/// A cell has ended. What came and went while it ran.
pub(crate) fn end_cell(cell: CellId) -> Changes {
    let mut journal = observed();
    let running = &mut journal.get_or_insert_default().running;
    let index = running.iter().position(|running| running.cell == cell);
    index.map_or_else(Changes::default, |index| running.swap_remove(index).changes)
}

/// Gives what is new to the cells that run.
pub(crate) fn observe() {
    drop(observed());
}

/// When a library came; nothing if nobody has looked since.
pub(crate) fn library(library: &Library) -> Option<Came> {
    let journal = lock();
    let images = &journal.as_ref()?.libraries;
    images
        .iter()
        .find(|((bias, _), _)| *bias == library.image.bias())
        .map(|(_, came)| *came)
}

/// The cell that started a thread.
pub(crate) fn cell_of_thread(tid: i32) -> Option<CellId> {
    *lock().as_ref()?.threads.get(&tid)?
}

fn lock() -> ProcessLockGuard<'static, Option<Journal>> {
    JOURNAL.lock()
}

fn observed() -> ProcessLockGuard<'static, Option<Journal>> {
    let mut journal = lock();
    let entry = journal.get_or_insert_default();
    entry.observe_libraries();
    entry.observe_threads();
    journal
}

impl Journal {
    /// The linker's counters tell in a microsecond whether there is anything to do.
    fn observe_libraries(&mut self) {
        let counters = link_map::counters();
        if counters == self.counters {
            return;
        }
        self.counters = counters;
        let entries = link_map::entries();
        let image = |entry: &link_map::Entry| (entry.image.bias(), entry.name.clone());
        let now: HashSet<Image> = entries.iter().map(image).collect();
        let gone: Vec<Image> = self
            .libraries
            .extract_if(|image, _| !now.contains(image))
            .map(|(image, _)| image)
            .collect();
        for image in gone {
            self.ascribe(None, |traffic| traffic.unloaded.push(image.clone()));
        }
        let new: Vec<_> = entries
            .into_iter()
            .filter(|entry| !self.libraries.contains_key(&image(entry)))
            .collect();
        let askers = if self.running.len() > 1 {
            askers(&new)
        } else {
            HashMap::new()
        };
        for entry in &new {
            let image = image(entry);
            if let Some(own) = black_box::writable() {
                let span = entry.image.span();
                own.note_library(span.start, span.end, &entry.name);
            }
            let cell = self.ascribe(askers.get(&image.0).copied(), |traffic| {
                traffic.loaded.push(image.clone())
            });
            let begun = self.begun;
            self.libraries.insert(image, Came { cell, begun });
        }
    }

    fn observe_threads(&mut self) {
        let now: HashSet<i32> = tasks::numbers().into_iter().collect();
        self.threads.retain(|thread, _| now.contains(thread));
        for running in &mut self.running {
            let Changes { own, unclear, .. } = &mut running.changes;
            own.started.retain(|thread| now.contains(thread));
            unclear.started.retain(|thread| now.contains(thread));
        }
        let records = if self.running.len() > 1 {
            creation_records()
        } else {
            Vec::new()
        };
        for thread in now {
            if self.threads.contains_key(&thread) {
                continue;
            }
            let record = records.iter().find(|record| record.tid == thread);
            let cell = self.ascribe(record.and_then(|record| record.cell), |traffic| {
                traffic.started.push(thread)
            });
            self.threads.insert(thread, cell);
        }
    }

    /// Enters a change for the cell that made it, if it is the only one that runs or known; else for all that run, any of
    /// which may have. The cell, if it is clear.
    fn ascribe(&mut self, known: Option<CellId>, enter: impl Fn(&mut Traffic)) -> Option<CellId> {
        let alone = self.running.len() == 1;
        let own = self
            .running
            .iter_mut()
            .find(|running| alone || Some(running.cell) == known);
        if let Some(running) = own {
            enter(&mut running.changes.own);
            return Some(running.cell);
        }
        for running in &mut self.running {
            enter(&mut running.changes.unclear);
        }
        None
    }
}

/// The cells whose threads asked Python for new libraries, by the libraries' biases. What a library needs and is new came
/// with it: the linker appends it behind the one that needs it first.
fn askers(new: &[link_map::Entry]) -> HashMap<usize, CellId> {
    let mut askers = HashMap::new();
    for entry in new {
        let Some(cell) = import_audit::cell_that_asked(entry) else {
            continue;
        };
        let mut waiting = vec![entry];
        while let Some(entry) = waiting.pop() {
            if let Entry::Vacant(place) = askers.entry(entry.image.bias()) {
                place.insert(cell);
                let is_needed = |other: &&link_map::Entry| {
                    entry.image.needed.iter().any(|name| goes_by(other, name))
                };
                waiting.extend(new.iter().filter(is_needed));
            }
        }
    }
    askers
}

/// Whether another library would name this one so.
fn goes_by(entry: &link_map::Entry, name: &str) -> bool {
    entry.image.soname.as_deref() == Some(name) || entry.name.rsplit('/').next() == Some(name)
}
