//! Keeps the hits on the thread that takes them; what needs names or the GIL waits for the cell's end.

use std::collections::HashMap;
use std::sync::Arc;

use diaphane_cpython::frames::{Functions, PythonFrame};
use diaphane_cpython::reader::unpack;
use diaphane_sight::linker::libraries::Library;
use diaphane_sight::threads::Task;
use diaphane_sight::unwind::Stack;
use diaphane_trace::watchpoints::{Hit, HitSink};
use rustix::time::{ClockId, clock_gettime};

/// What was seen.
#[derive(Default)]
pub(super) struct Hits {
    libraries: Arc<Vec<Library>>,
    pub seen: Vec<SeenHit>,
    /// What Linux calls the threads.
    pub comms: HashMap<i32, String>,
}

/// One hit, with the libraries of that moment.
pub(super) struct SeenHit {
    pub hit: Hit,
    pub stack: Stack,
    pub python: Option<Vec<PythonFrame>>,
    pub libraries: Arc<Vec<Library>>,
}

impl HitSink for Hits {
    fn loaded(&mut self, libraries: &Arc<Vec<Library>>) {
        self.libraries = Arc::clone(libraries);
    }

    fn hit(&mut self, hit: Hit, stack: Stack) {
        let comm = || Some(Task::new(hit.tid).name_and_state()?.0);
        if let std::collections::hash_map::Entry::Vacant(vacant) = self.comms.entry(hit.tid)
            && let Some(comm) = comm()
        {
            vacant.insert(comm);
        }
        self.seen.push(SeenHit {
            // At once: what a frame's code object is may be another one later.
            python: Functions::default().of(&unpack(&stack.noted)),
            hit,
            stack,
            libraries: Arc::clone(&self.libraries),
        });
    }
}

/// The clock of the hits, in nanoseconds.
pub(super) fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
