//! Samples: what each thread runs, looked at many times a second, for as long as a cell runs.
//!
//! One thread of ours looks at all others, once in each period. One that runs gets a signal, which makes it copy its
//! registers and its stack (`ring`). One that sleeps gets none, since that would end its system call; it is looked at from
//! outside (`watch`). Our thread takes the copies, unwinds them and hands them on while the cell runs, so that nearly
//! nothing is left to do at the end.

mod ring;
mod timer;
mod watch;

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use diaphane_sight::linker::libraries;
use diaphane_sight::linker::libraries::Library;
use diaphane_sight::linker::link_map;
use diaphane_sight::linker::link_map::Counters;
use diaphane_sight::proc::maps::Maps;
use diaphane_sight::proc::spans::Span;
use diaphane_sight::threads::OwnThread;
use diaphane_sight::unwind::{Stack, Unwinder, leave_signals};
use rustix::thread::set_current_timer_slack;
use serde::Serialize;

pub use timer::Timer;
use watch::Watch;

/// How often the copies are taken.
const TICK: Duration = Duration::from_millis(5);
/// Every how many ticks it is looked for new libraries.
const TICKS_A_LOOK: u32 = 4;

/// What passes between two samples of a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Clock {
    /// Time, also while the thread waits.
    Wall,
    /// Its time on a CPU.
    Cpu,
    /// Time for the thread of the cell and for who waits for the GIL, time on a CPU for all others.
    Busy,
}

/// Which threads are sampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Threads {
    /// All but the program's own.
    Users,
    /// The thread of the cell.
    Main,
}

/// What is to be sampled, and how.
pub struct SamplerPlan {
    /// How often a second.
    pub hz: u32,
    /// What passes between two samples.
    pub clock: Clock,
    /// Which threads.
    pub threads: Threads,
    /// The thread of the cell.
    pub main: i32,
    /// Calls of that thread that end at or above this address are not looked at.
    pub floor: usize,
    /// What a thread notes about itself: it gets its argument and room for words. It must be safe in a signal handler.
    pub note: fn(usize, &mut [usize]) -> usize,
    /// The arguments by thread; 0 where there is none.
    pub arguments: fn() -> HashMap<i32, usize>,
    /// A futex in here is the GIL.
    pub gil: Option<Span>,
}

/// What a thread was seen to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Doing {
    /// It runs, or could.
    Running,
    /// It sleeps in a system call.
    Waiting,
    /// It waits for the GIL.
    WaitingForGil,
}

/// One look at one thread.
#[derive(Debug)]
pub struct Sample {
    /// The thread.
    pub tid: i32,
    /// For how many looks it stands.
    pub count: u32,
    /// What it did.
    pub doing: Doing,
    /// Its native stack, and what it noted.
    pub stack: Stack,
}

/// Who gets the samples, on the sampling thread.
pub trait Sink: Send + 'static {
    /// From now on addresses belong to these libraries.
    fn loaded(&mut self, libraries: &Arc<Vec<Library>>);
    /// The next samples are of this moment: what was known of the process's memory may not hold any more.
    fn moment(&mut self);
    /// One sample.
    fn sample(&mut self, sample: Sample);
}

/// What became of the looks.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Totals {
    /// Copies for which there was no room.
    pub lost: u64,
    /// Times at which a thread was due while it had no CPU.
    pub late: u64,
    /// System calls that ended early, since their thread fell asleep between a look at it and its signal.
    pub ended: u64,
    /// Threads that block the signal, and worked.
    pub unreachable: Vec<Unreachable>,
    /// How long the cell's thread was in the signal's handler, in nanoseconds.
    pub handler_ns: u64,
    /// How long the sampling thread itself was on a CPU, in nanoseconds.
    pub cpu_ns: u64,
}

/// A thread that cannot be looked at.
#[derive(Debug, Clone, Serialize)]
pub struct Unreachable {
    /// Its number.
    pub tid: i32,
    /// How long it was on a CPU meanwhile, in nanoseconds.
    pub cpu_ns: u64,
}

/// Why nothing is sampled.
#[derive(Debug, thiserror::Error)]
pub enum SamplerRefused {
    /// One at a time.
    #[error("samples are being taken already; only one recording can run at a time")]
    Busy,
    /// Nothing to make threads look at themselves with.
    #[error(
        "every real-time signal (34 to 64) has a handler already, and sampling needs one of its own"
    )]
    NoSignal,
    /// The system refused.
    #[error("the system gave no {0}: {1}")]
    System(&'static str, std::io::Error),
    /// The process could not be looked at.
    #[error(transparent)]
    Probe(#[from] diaphane_sight::Error),
}

/// Samples are being taken.
pub struct RunningSampler<S: Sink> {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<(S, Totals)>>,
}

/// What both threads touch.
struct Shared {
    stop: AtomicBool,
    process: u32,
}

/// The process in which samples are being taken; 0 for none. A child of a fork takes none.
static TAKING: AtomicU32 = AtomicU32::new(0);

/// Begins.
///
/// # Errors
/// Where samples are being taken already, or the system has no signal left.
pub fn begin<S: Sink>(plan: SamplerPlan, sink: S) -> Result<RunningSampler<S>, SamplerRefused> {
    let process = std::process::id();
    if TAKING.swap(process, Ordering::AcqRel) == process {
        return Err(SamplerRefused::Busy);
    }
    let begun = start(plan, sink, process);
    if begun.is_err() {
        TAKING.store(0, Ordering::Release);
    }
    begun
}

fn start<S: Sink>(
    plan: SamplerPlan,
    sink: S,
    process: u32,
) -> Result<RunningSampler<S>, SamplerRefused> {
    let signal = ring::open(plan.note, plan.clock, plan.hz)?;
    let shared = Arc::new(Shared {
        stop: AtomicBool::new(false),
        process,
    });
    let mut worker = Worker::prepare(plan, sink, signal)?;
    let flag = Arc::clone(&shared);
    let thread = std::thread::Builder::new()
        .name("diaphane-sampl".into())
        .spawn(move || {
            leave_signals();
            let _own = OwnThread::begin();
            // The periods are shorter than what a sleep may last longer.
            let _ = set_current_timer_slack(NonZeroU64::new(1));
            while !flag.stop.load(Ordering::Acquire) {
                std::thread::park_timeout(worker.watch.rest());
                worker.beat();
            }
            worker.finish()
        })
        .map_err(|error| SamplerRefused::System("thread", error))?;
    Ok(RunningSampler {
        shared,
        thread: Some(thread),
    })
}

impl<S: Sink> RunningSampler<S> {
    /// Ends, and gives the sink back; nothing in the child of a fork, to which the sampling thread does not belong.
    pub fn end(mut self) -> Option<(S, Totals)> {
        self.stop()
    }

    fn stop(&mut self) -> Option<(S, Totals)> {
        let thread = self.thread.take()?;
        if self.shared.process != std::process::id() {
            // The thread's own data are half a copy here.
            std::mem::forget(thread);
            return None;
        }
        self.shared.stop.store(true, Ordering::Release);
        thread.thread().unpark();
        let ended = thread.join().ok();
        // Also where the thread has panicked.
        ring::close();
        TAKING.store(0, Ordering::Release);
        ended
    }
}

impl<S: Sink> Drop for RunningSampler<S> {
    fn drop(&mut self) {
        drop(self.stop());
    }
}

/// What the sampling thread does.
struct Worker<S: Sink> {
    plan: SamplerPlan,
    sink: S,
    watch: Watch,
    unwinder: Unwinder,
    counters: Counters,
    ticked: Instant,
    ticks: u32,
}

impl<S: Sink> Worker<S> {
    fn prepare(plan: SamplerPlan, mut sink: S, signal: i32) -> Result<Self, SamplerRefused> {
        let maps = Maps::read()?;
        let libraries = Arc::new(libraries::loaded(&maps)?);
        let counters = link_map::counters();
        sink.loaded(&libraries);
        let mut watch = Watch::new(&plan, signal);
        watch.look(&plan);
        Ok(Self {
            unwinder: Unwinder::new(&libraries),
            plan,
            sink,
            watch,
            counters,
            ticked: Instant::now(),
            ticks: 0,
        })
    }

    /// Looks at all threads, and now and then takes what is there. No fork happens meanwhile, since a child would inherit
    /// the locks that are held.
    fn beat(&mut self) {
        link_map::while_nobody_forks(|| {
            self.watch.beat(&self.plan);
            if self.ticked.elapsed() >= TICK {
                self.ticked = Instant::now();
                self.tick();
            }
        });
    }

    fn tick(&mut self) {
        self.take();
        self.ticks += 1;
        if self.ticks.is_multiple_of(TICKS_A_LOOK) {
            self.refresh();
            self.watch.look(&self.plan);
        }
        self.watch.idle(&self.plan);
    }

    fn take(&mut self) {
        self.sink.moment();
        for (looked, copy) in ring::take() {
            let doing = match looked.futex {
                Some(futex) if self.plan.gil.is_some_and(|gil| gil.contains(futex)) => {
                    Doing::WaitingForGil
                }
                Some(_) => Doing::Waiting,
                None => Doing::Running,
            };
            if !watch::is_wanted(&self.plan, looked.tid, doing) {
                continue;
            }
            let stack = self.unwinder.unwind(copy);
            self.sink.sample(Sample {
                tid: looked.tid,
                count: looked.count,
                doing,
                stack,
            });
        }
        self.sink.moment();
        for slept in self.watch.take() {
            let stack = self.unwinder.unwind(slept.copy);
            self.sink.sample(Sample {
                tid: slept.tid,
                count: slept.count,
                doing: slept.doing,
                stack,
            });
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

    fn finish(mut self) -> (S, Totals) {
        ring::close();
        self.watch.stop();
        self.take();
        let mut totals = ring::totals(self.plan.main);
        totals.unreachable = self.watch.unreachable();
        totals.cpu_ns = timer::own_cpu();
        (self.sink, totals)
    }
}

#[cfg(test)]
mod tests;
