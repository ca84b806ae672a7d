//! Who touches some bytes: hardware watchpoints on every thread, for as long as something runs.
//!
//! The processor compares the addresses itself, so that code runs at its full speed until it touches the bytes. Then the
//! thread gets a signal before its next instruction (`perf_events`), in whose handler it copies its registers and its
//! stack (`trap`). A thread of ours takes the copies and unwinds them meanwhile.

mod perf_events;
mod sigtrap;
mod trap;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use diaphane_sight::linker::libraries::{self, Library};
use diaphane_sight::linker::link_map;
use diaphane_sight::proc::maps::Maps;
use diaphane_sight::threads::{is_own_thread, tasks};
use diaphane_sight::unwind::{Stack, Unwinder};

use crate::helper_thread::{Helper, Shift};
use perf_events::Breakpoint;
pub use trap::{FirstHit, Hit, first_hit, keep_handler};

/// So many spots can be watched at once: the processor has as many registers for their addresses.
pub const MOST_SPOTS: usize = 4;
/// How often the copies are taken.
const TICK: Duration = Duration::from_millis(2);
/// New threads begin while others are being watched; after so many looks that found some, it is enough.
const MOST_LOOKS: usize = 16;

/// Bytes to watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchedSpot {
    /// Where they begin, at a multiple of their number.
    pub address: usize,
    /// 1, 2, 4 or 8.
    pub length: usize,
}

/// What touches them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Writes.
    Write,
    /// Writes and reads: x86 has no watchpoint for reads alone.
    ReadOrWrite,
}

/// What is to be watched, and how.
#[derive(Debug)]
pub struct WatchPlan {
    /// At most [`MOST_SPOTS`].
    pub spots: Vec<WatchedSpot>,
    /// What counts.
    pub access: Access,
    /// After so many hits the watch ends.
    pub most: u64,
    /// The thread of the cell, and the address at or above which its calls are not looked at; 0 for none.
    pub main: (i32, usize),
    /// What a thread of this number notes about itself. It must be safe in a signal handler.
    pub note: fn(i32, &mut [usize]) -> usize,
    /// Is called in the handler of the first hit. It must be safe in a signal handler.
    pub at_first: Option<fn()>,
}

/// Who gets the hits, on a thread of ours.
pub trait HitSink: Send + 'static {
    /// From now on addresses belong to these libraries.
    fn loaded(&mut self, libraries: &Arc<Vec<Library>>);
    /// One hit.
    fn hit(&mut self, hit: Hit, stack: Stack);
}

/// What became of a watch.
#[derive(Debug, Clone, Default)]
pub struct WatchTotals {
    /// Hits that were counted, with those of which nothing else is known.
    pub hits: u64,
    /// Those of them for whose copy there was no room.
    pub lost: u64,
    /// Whether there were as many as were wanted, so that the watch ended before its time.
    pub is_full: bool,
    /// Threads that could not be watched.
    pub unwatched: Vec<i32>,
    /// The spots whose bytes are not those of the last hit: something else has written, as Linux does for `read`.
    pub changed_unseen: Vec<usize>,
    /// Whether somebody has replaced the handler, so that hits were missed.
    pub is_replaced: bool,
}

/// Why nothing is watched.
#[derive(Debug, thiserror::Error)]
pub enum WatchRefused {
    /// One at a time.
    #[error("a watch is on already; only one can run at a time")]
    Busy,
    /// The address is not one of the process, or not one that can be watched.
    #[error("the {1} bytes at {0:#x} cannot be watched: {2}")]
    Spot(usize, usize, std::io::Error),
    /// All registers are taken.
    #[error(
        "the processor's four registers for watchpoints are in use by others, as by a debugger"
    )]
    NoRegister,
    /// By the system's rules.
    #[error(
        "Linux does not allow watchpoints here ({0}): a container's seccomp profile forbids perf_event_open, or \
         /proc/sys/kernel/perf_event_paranoid is above 2"
    )]
    Forbidden(std::io::Error),
    /// Linux is too old, or is another system that looks like it.
    #[error(
        "this system has no watchpoints that signal at once ({0}): Linux 5.13 or later has them, and some sandboxes and \
         virtual machines leave them out"
    )]
    Unsupported(std::io::Error),
    /// No more descriptors.
    #[error(
        "there are not enough file descriptors: a watch needs one for each thread and each spot ({0})"
    )]
    Descriptors(std::io::Error),
    /// The process could not be looked at.
    #[error(transparent)]
    Probe(#[from] diaphane_sight::Error),
}

/// A watch that is on.
#[derive(Debug)]
pub struct RunningWatch<S> {
    helper: Option<Helper<S>>,
    breakpoints: Arc<Vec<Breakpoint>>,
    unwatched: Vec<i32>,
    process: u32,
}

/// The process whose watch is on; 0 for none. A child of a fork has none.
static WATCHING: AtomicU32 = AtomicU32::new(0);

/// Begins.
///
/// # Errors
/// Where a watch is on already, or the system refuses.
pub fn begin<S: HitSink>(plan: &WatchPlan, sink: S) -> Result<RunningWatch<S>, WatchRefused> {
    let process = std::process::id();
    if WATCHING.swap(process, Ordering::AcqRel) == process {
        return Err(WatchRefused::Busy);
    }
    let begun = start(plan, sink, process);
    if begun.is_err() {
        trap::disarm();
        WATCHING.store(0, Ordering::Release);
    }
    begun
}

fn start<S: HitSink>(
    plan: &WatchPlan,
    sink: S,
    process: u32,
) -> Result<RunningWatch<S>, WatchRefused> {
    let worker = Worker::prepare(sink)?;
    let recording = trap::arm(plan)?;
    let (breakpoints, unwatched) = everywhere(plan, recording)?;
    let breakpoints = Arc::new(breakpoints);
    let watched = Arc::clone(&breakpoints);
    // It is not watched itself: threads inherit a watch from the one that makes them, but only once it is there.
    let helper = Helper::begin("diaphane-traps", move |shift| worker.work(shift, &watched));
    for breakpoint in breakpoints.iter() {
        breakpoint.enable();
    }
    Ok(RunningWatch {
        helper: Some(helper),
        breakpoints,
        unwatched,
        process,
    })
}

/// A breakpoint for each spot on each thread; and the threads that refused.
fn everywhere(
    plan: &WatchPlan,
    recording: u64,
) -> Result<(Vec<Breakpoint>, Vec<i32>), WatchRefused> {
    let own = rustix::thread::gettid().as_raw_nonzero().get();
    let (mut breakpoints, mut unwatched) = (Vec::new(), Vec::new());
    let mut known = HashSet::new();
    for _ in 0..MOST_LOOKS {
        let mut found = tasks()?;
        found.retain(|task| known.insert(task.tid) && !is_own_thread(task.tid));
        if found.is_empty() {
            break;
        }
        // What the system refuses to this thread, it refuses to all.
        found.sort_by_key(|task| task.tid != own);
        for task in found {
            for (number, spot) in plan.spots.iter().enumerate() {
                match perf_events::watch(task.tid, spot, plan.access, trap::data(recording, number))
                {
                    Ok(breakpoint) => breakpoints.push(breakpoint),
                    Err(error) if task.tid == own => return Err(perf_events::refused(spot, error)),
                    // It has ended meanwhile.
                    Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
                    Err(error) if perf_events::needs_descriptors(&error) => {
                        return Err(WatchRefused::Descriptors(error));
                    }
                    Err(_) => unwatched.push(task.tid),
                }
            }
        }
    }
    unwatched.dedup();
    Ok((breakpoints, unwatched))
}

/// Ends a watch from wherever one is.
#[derive(Debug, Clone)]
pub struct WatchSwitch(Arc<Vec<Breakpoint>>);

impl WatchSwitch {
    /// From now on nothing is seen.
    pub fn turn_off(&self) {
        self.0.iter().for_each(Breakpoint::disable);
    }
}

impl<S> RunningWatch<S> {
    /// What ends it early.
    #[must_use]
    pub fn switch(&self) -> WatchSwitch {
        WatchSwitch(Arc::clone(&self.breakpoints))
    }

    /// Ends, and gives the sink back; nothing in the child of a fork, and where no thread could be had.
    #[must_use]
    pub fn end(mut self) -> Option<(S, WatchTotals)> {
        self.stop()
    }

    fn stop(&mut self) -> Option<(S, WatchTotals)> {
        let helper = self.helper.take()?;
        if self.process != std::process::id() {
            drop(helper.end());
            return None;
        }
        self.switch().turn_off();
        // Late signals find no recording; the rest of the copies is taken when the helper ends.
        trap::disarm();
        let sink = helper.end();
        self.breakpoints = Arc::default();
        let totals = WatchTotals {
            unwatched: std::mem::take(&mut self.unwatched),
            ..trap::totals()
        };
        WATCHING.store(0, Ordering::Release);
        Some((sink?, totals))
    }
}

impl<S> Drop for RunningWatch<S> {
    fn drop(&mut self) {
        drop(self.stop());
    }
}

/// What the thread of ours does.
struct Worker<S> {
    sink: S,
    unwinder: Unwinder,
    counters: link_map::Counters,
}

impl<S: HitSink> Worker<S> {
    fn prepare(mut sink: S) -> Result<Self, WatchRefused> {
        let counters = link_map::counters();
        let libraries = Arc::new(libraries::loaded(&Maps::read()?)?);
        sink.loaded(&libraries);
        Ok(Self {
            unwinder: Unwinder::new(&libraries),
            sink,
            counters,
        })
    }

    fn work(mut self, shift: &Shift, breakpoints: &[Breakpoint]) -> S {
        let mut is_on = true;
        while shift.goes_on(TICK) {
            if is_on && trap::is_full() {
                breakpoints.iter().for_each(Breakpoint::disable);
                is_on = false;
            }
            // A child would inherit the locks that are held.
            link_map::while_nobody_forks(|| self.take());
        }
        self.take();
        self.sink
    }

    fn take(&mut self) {
        let mut taken: Vec<_> = trap::take().collect();
        if taken.is_empty() {
            return;
        }
        self.refresh();
        taken.sort_by_key(|(hit, _)| hit.number);
        for (hit, copy) in taken {
            let stack = self.unwinder.unwind(copy);
            self.sink.hit(hit, stack);
        }
    }

    /// Looks whether libraries came or went.
    fn refresh(&mut self) {
        let now = link_map::counters();
        if now == self.counters {
            return;
        }
        let found = Maps::read().and_then(|maps| libraries::loaded(&maps));
        if let Ok(libraries) = found {
            let libraries = Arc::new(libraries);
            self.unwinder = Unwinder::new(&libraries);
            self.sink.loaded(&libraries);
            self.counters = now;
        }
    }
}

#[cfg(test)]
mod tests;
