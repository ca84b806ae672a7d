//! Which cell brought what: the libraries that it loaded and the threads that it started.
//!
//! The kernel says when a cell begins and ends; at its end, and when a magic asks, what is there now is compared with
//! what was there before. Without a kernel that says so, nothing belongs to a cell.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use diaphane_forks::{ProcessLock, ProcessLockGuard};
use diaphane_sight::linker::libraries::Library;
use diaphane_sight::linker::link_map;
use diaphane_sight::linker::link_map::Counters;
use diaphane_sight::proc::tasks;
use diaphane_sight::threads::creation_records;

/// What came with which cell; without a number it was there before the first one, or came between two.
#[derive(Debug, Default)]
struct Journal {
    running: Option<u32>,
    previous: Option<u32>,
    counters: Counters,
    libraries: HashMap<Image, Option<u32>>,
    threads: HashMap<i32, Option<u32>>,
    since_begin: Changes,
}

/// What came and went since the cell began.
#[derive(Debug, Clone, Default)]
pub(crate) struct Changes {
    /// Images that were loaded.
    pub loaded: Vec<Image>,
    /// Images that were unloaded.
    pub unloaded: Vec<Image>,
    /// The numbers of threads that were started and still live.
    pub started: Vec<i32>,
}

/// What tells one loaded image from another: the distance from its file's addresses to those in memory, and its name.
pub(crate) type Image = (usize, String);

static JOURNAL: ProcessLock<Option<Journal>> = ProcessLock::new(|| None);

/// Takes note of what is there before the first cell.
pub(crate) fn open() {
    observe();
}

/// A cell begins. One without a number leaves what it brings without a cell.
pub(crate) fn begin_cell(number: Option<u32>) {
    let mut journal = observed();
    creation_records::set_cell(number);
    let journal = journal.get_or_insert_default();
    journal.running = number;
    journal.since_begin = Changes::default();
}

/// The cell that runs has ended. What came and went with it.
pub(crate) fn end_cell() -> Changes {
    let mut journal = observed();
    creation_records::set_cell(None);
    let journal = journal.get_or_insert_default();
    let ended = journal.running.take();
    journal.previous = ended.or(journal.previous);
    std::mem::take(&mut journal.since_begin)
}

/// The cell that runs.
pub(crate) fn running_cell() -> Option<u32> {
    lock().as_ref().and_then(|journal| journal.running)
}

/// The cell that ended last, or else the one that runs; `None` where nobody counts cells.
pub(crate) fn last_cell() -> Option<u32> {
    let journal = lock();
    let journal = journal.as_ref()?;
    journal.previous.or(journal.running)
}

/// Gives what is new to the cell that runs.
pub(crate) fn observe() {
    drop(observed());
}

/// The cell that loaded a library.
pub(crate) fn cell_of_library(library: &Library) -> Option<u32> {
    let journal = lock();
    let images = &journal.as_ref()?.libraries;
    images
        .iter()
        .find(|((bias, _), _)| *bias == library.image.bias())
        .and_then(|(_, cell)| *cell)
}

/// The cell that started a thread.
pub(crate) fn cell_of_thread(tid: i32) -> Option<u32> {
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
        let images = link_map::entries()
            .into_iter()
            .map(|entry| (entry.image.bias(), entry.name));
        let now: HashSet<Image> = images.collect();
        for (image, _) in self.libraries.extract_if(|image, _| !now.contains(image)) {
            self.since_begin.unloaded.push(image);
        }
        for image in now {
            if let Entry::Vacant(place) = self.libraries.entry(image) {
                self.since_begin.loaded.push(place.key().clone());
                place.insert(self.running);
            }
        }
    }

    fn observe_threads(&mut self) {
        let now: HashSet<i32> = tasks::numbers().into_iter().collect();
        self.threads.retain(|thread, _| now.contains(thread));
        self.since_begin
            .started
            .retain(|thread| now.contains(thread));
        for thread in now {
            if let Entry::Vacant(place) = self.threads.entry(thread) {
                place.insert(self.running);
                self.since_begin.started.push(thread);
            }
        }
    }
}
