//! What the process does at this moment, in few bytes and little time, for a view that asks every second: cell, memory,
//! CPU time, GIL and threads. It never takes the GIL.
//!
//! Names change seldom, so they have an epoch, and are sent where the one who asks has those of another. Python's names
//! of threads need the GIL: who has it notes them (`note_thread_names`), and they are remembered by the threads' numbers.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use diaphane_cpython::check;
use diaphane_cpython::interpreter::{Interpreter, is_gil_wait};
use diaphane_forks::ProcessLock;
use diaphane_sight::linker::link_map::{Counters, counters};
use diaphane_sight::proc::cpus::Cpus;
use diaphane_sight::proc::descriptors;
use diaphane_sight::proc::resource_usage::{ResourceUsage, monotonic_ns};
use diaphane_sight::proc::spans::Span;
use diaphane_sight::threads::running_cells::running;
use diaphane_sight::threads::{Call, Glance, glance};
use pyo3::prelude::*;
use serde::Serialize;

use crate::error::Error;
use crate::python::threads::thread_names;
use crate::stacks::main_stack::MainStack;
use crate::stacks::now::{ThreadNow, take};
use crate::stacks::snapshot::{Gil, ProcessSnapshot, ThreadKind, ThreadNames};

/// The names of threads that Python gave, and how often they changed.
static NAMES: ProcessLock<(u64, Option<ThreadNames>)> = ProcessLock::new(|| (0, None));

/// So often in a row Python is asked for the names of threads that it may not know yet, or never.
const TRIES: u8 = 3;

/// Notes the names that Python gives to its threads now.
pub fn note_thread_names(py: Python<'_>) {
    check(py);
    let Ok(now) = thread_names(py) else { return };
    py.detach(|| {
        let mut names = NAMES.lock();
        if names.1.as_ref() != Some(&now) {
            *names = (names.0 + 1, Some(now));
        }
    });
}

/// The names that Python gave to its threads, as far as they were noted.
pub(crate) fn noted_thread_names() -> ThreadNames {
    NAMES.lock().1.clone().unwrap_or_default()
}

/// Looks again and again, and knows what has changed meanwhile.
pub struct Monitor {
    epoch: u64,
    seen: Seen,
    names: NamesNow,
    /// The threads and libraries of this epoch.
    snapshot: Option<ProcessSnapshot>,
    usable_cpus: Option<usize>,
    /// The thread whose functions are told, where they are asked for.
    told: i32,
    /// For which threads of Python's their names were asked for, and how often.
    asked: (Vec<i32>, u8),
}

/// What names depend on.
#[derive(Default, PartialEq, Eq)]
struct Seen {
    tids: Vec<i32>,
    libraries: Counters,
    names: u64,
}

/// What a moment's threads are called, and the pools of the libraries.
#[derive(Default, Serialize)]
pub(crate) struct NamesNow {
    pub names: BTreeMap<i32, NamedThread>,
    pools: Vec<PoolSize>,
}

/// What a thread is called, and whose it is.
#[derive(Clone, Default, Serialize)]
pub(crate) struct NamedThread {
    pub name: String,
    pub owner: Option<String>,
    pub package: Option<String>,
    pub kind: &'static str,
}

#[derive(Serialize)]
struct PoolSize {
    name: &'static str,
    library: String,
    threads: usize,
}

/// What was seen.
#[derive(Serialize)]
pub struct Moment<'a> {
    pub(crate) at_ns: u64,
    pub(crate) epoch: u64,
    cell: Option<Cell>,
    /// All of them, where several run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cells: Vec<Cell>,
    pub(crate) rss: Option<u64>,
    pub(crate) cpu_ns: u64,
    pub(crate) usable_cpus: Option<usize>,
    pub(crate) gil: Option<i32>,
    pub(crate) threads: Vec<(i32, char, u64, Option<&'static str>)>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub(crate) names: Option<&'a NamesNow>,
    #[serde(flatten)]
    pub(crate) main: MainStack,
    /// Whether Python may know names that are not known here.
    #[serde(skip)]
    pub wants_names: bool,
}

/// A cell that runs.
#[derive(Clone, Copy, Serialize)]
struct Cell {
    count: Option<u32>,
    since_ns: u64,
}

impl Default for Monitor {
    fn default() -> Self {
        Self::of(std::process::id().cast_signed())
    }
}

impl Monitor {
    /// One that tells the functions of this thread, where they are asked for.
    pub(crate) fn of(told: i32) -> Self {
        Self {
            told,
            // Those of the process before, whose place it took, were smaller.
            epoch: monotonic_ns() / 1_000_000,
            seen: Seen::default(),
            names: NamesNow::default(),
            snapshot: None,
            usable_cpus: None,
            asked: (Vec::new(), 0),
        }
    }

    /// Looks. Names are given where those of `epoch` are others; the functions of a thread, or a sentence about it, where they
    /// are wanted: of its own one, unless another is named.
    ///
    /// # Errors
    /// Why nothing can be seen, in a sentence.
    pub fn look(
        &mut self,
        epoch: Option<u64>,
        thread: Option<i32>,
        stack: bool,
        why: bool,
    ) -> Result<Moment<'_>, String> {
        let look = move || descriptors::with_spare(move || self.moment(epoch, thread, stack, why));
        let looked = catch_unwind(AssertUnwindSafe(look));
        let looked = looked.unwrap_or_else(|_| Err(Error::Panic("monitor".into(), String::new())));
        looked.map_err(|error| error.to_string())
    }

    fn moment(
        &mut self,
        epoch: Option<u64>,
        thread: Option<i32>,
        stack: bool,
        why: bool,
    ) -> Result<Moment<'_>, Error> {
        let threads = glance();
        self.refresh(&threads)?;
        let main = match stack || why {
            true => self.stack(&threads, thread, stack, why)?,
            false => MainStack::default(),
        };
        let usage = ResourceUsage::now();
        let interpreter = Interpreter::look();
        let wants_names = self.wants_names(&interpreter);
        let cells: Vec<Cell> = running()
            .into_iter()
            .map(|(cell, since_ns)| Cell {
                count: cell.number(),
                since_ns,
            })
            .collect();
        let runtime = self.snapshot.as_ref().and_then(|known| known.runtime);
        let threads = threads.into_iter().map(|one| {
            let wait = one.call.as_ref().and_then(|call| wait(runtime, call));
            (one.tid, one.state, one.cpu_ns, wait)
        });
        Ok(Moment {
            at_ns: monotonic_ns(),
            epoch: self.epoch,
            cell: cells.first().copied(),
            cells: if cells.len() > 1 { cells } else { Vec::new() },
            rss: usage.rss,
            cpu_ns: usage.cpu_ns,
            usable_cpus: self.usable_cpus,
            gil: interpreter.holder,
            threads: threads.collect(),
            names: (epoch != Some(self.epoch)).then_some(&self.names),
            main,
            wants_names,
        })
    }

    /// Reads names again where something has changed that they depend on: another epoch begins.
    fn refresh(&mut self, threads: &[Glance]) -> Result<(), Error> {
        let (version, names) = NAMES.lock().clone();
        let seen = Seen {
            tids: threads.iter().map(|one| one.tid).collect(),
            libraries: counters(),
            names: version,
        };
        if seen == self.seen {
            return Ok(());
        }
        let snapshot = ProcessSnapshot::look()?;
        self.names = NamesNow::of(&snapshot, &names.unwrap_or_default());
        self.usable_cpus = Cpus::read().usable;
        self.snapshot = Some(snapshot);
        self.seen = seen;
        self.epoch += 1;
        Ok(())
    }

    /// Whether to ask Python for names: where its threads are others than at the last time, and a few times more, since a
    /// thread that begins has no name yet.
    fn wants_names(&mut self, interpreter: &Interpreter) -> bool {
        let mut threads: Vec<i32> = interpreter.states.keys().copied().collect();
        threads.sort_unstable();
        let names = NAMES.lock();
        let is_named = |tid| {
            names
                .1
                .as_ref()
                .is_some_and(|names| names.contains_key(tid))
        };
        if !threads.is_empty() && threads.iter().all(is_named) {
            return false;
        }
        if self.asked.0 != threads {
            self.asked = (threads, 0);
        }
        self.asked.1 = self.asked.1.saturating_add(1);
        self.asked.1 <= TRIES
    }

    /// Of a thread, taken by the calling one.
    fn stack(
        &mut self,
        threads: &[Glance],
        thread: Option<i32>,
        stack: bool,
        why: bool,
    ) -> Result<MainStack, Error> {
        let Some(snapshot) = &mut self.snapshot else {
            return Ok(MainStack::default());
        };
        snapshot.renew(threads)?;
        let names = noted_thread_names();
        let tid = thread.unwrap_or(self.told);
        let threads = take(snapshot, &names, false, |thread| thread.tid == tid)?;
        let holder = threads
            .iter()
            .find(|thread| thread.gil == Some(Gil::Holder));
        let holder = holder.map(ThreadNow::title);
        let thread = threads.iter().find(|thread| thread.tid == tid);
        Ok(thread.map_or_else(MainStack::default, |thread| {
            MainStack::of(thread, holder.as_deref(), stack, why)
        }))
    }
}

impl NamesNow {
    fn of(snapshot: &ProcessSnapshot, names: &ThreadNames) -> Self {
        let named = snapshot.threads.iter().map(|thread| {
            let kind = snapshot.kind(thread, names.contains_key(&thread.tid));
            let package = thread.owner.as_ref();
            let package = package.and_then(|owner| snapshot.package_of(owner.library));
            let named = NamedThread {
                name: match kind {
                    ThreadKind::Main => "MainThread".to_owned(),
                    _ => snapshot.name(thread, names).into_owned(),
                },
                owner: snapshot.owner(thread).map(|library| library.name.clone()),
                package: package.map(|package| package.name.clone()),
                kind: match kind {
                    ThreadKind::Main => "main",
                    ThreadKind::Kernel => "kernel",
                    ThreadKind::Blas | ThreadKind::OpenMp | ThreadKind::Arrow => "pool",
                    ThreadKind::Python | ThreadKind::Rust | ThreadKind::Unknown => "user",
                },
            };
            (thread.tid, named)
        });
        let pools = snapshot.pools.iter().map(|pool| PoolSize {
            name: pool.runtime,
            library: pool.library.clone(),
            threads: pool.computes_with(),
        });
        Self {
            names: named.collect(),
            pools: pools.collect(),
        }
    }
}

/// What a thread waits for, in a word.
fn wait(runtime: Option<Span>, call: &Call) -> Option<&'static str> {
    match is_gil_wait(runtime, call) {
        true => Some("GIL"),
        false => call.name,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A moment with these threads, and little else.
    pub(crate) fn moment(
        at_ns: u64,
        cpu_ns: u64,
        threads: Vec<(i32, char, u64, Option<&'static str>)>,
    ) -> Moment<'static> {
        Moment {
            at_ns,
            cpu_ns,
            threads,
            epoch: 1,
            cell: None,
            cells: Vec::new(),
            rss: Some(1),
            usable_cpus: Some(2),
            gil: None,
            names: None,
            main: MainStack::default(),
            wants_names: false,
        }
    }
}
