//! What threads do over a while: how much of a CPU each uses, and how often it waits for the GIL.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use diaphane_sight::threads::{Task, tasks};

use crate::error::Error;
use crate::magic::Context;
use crate::stacks::live_pools::Pool;
use crate::stacks::merged::{MergedStack, StackFrame, StackOptions, stacks};
use crate::stacks::snapshot::ProcessSnapshot;
use diaphane_cpython::frames::Functions;
use diaphane_cpython::interpreter::Interpreter;

/// How often it is looked.
const STEP: Duration = Duration::from_millis(5);
/// How often Ctrl-C is heard.
const PIECE: Duration = Duration::from_millis(50);

/// What was seen of the threads.
#[derive(Default)]
pub(super) struct Sample {
    /// How long it was looked.
    pub time: Duration,
    /// The thread that looked.
    pub watcher: i32,
    /// How often.
    pub looks: usize,
    /// The CPU time of each thread at the beginning and at the end, in nanoseconds.
    used: HashMap<i32, (u64, u64)>,
    /// How often each waited for the GIL.
    waits: HashMap<i32, usize>,
    /// How often which thread was seen to hold the GIL in which function.
    holders: HashMap<(i32, String), usize>,
    /// For each pool's library: how often its threads ran without work, and how often they ran and it is not known.
    idle_runs: HashMap<usize, (usize, usize)>,
    /// How often it was looked at the pools.
    pool_looks: usize,
}

impl Sample {
    /// Watches the process. Ctrl-C ends it.
    pub(super) fn watch(
        context: &Context<'_, '_>,
        snapshot: &ProcessSnapshot,
        time: Duration,
    ) -> Result<Self, Error> {
        let started = Instant::now();
        let mut sample = Self {
            watcher: nix::unistd::gettid().as_raw(),
            ..Self::default()
        };
        sample.count(|entry, now| *entry = (now, now))?;
        while started.elapsed() < time {
            context.without_gil(|| {
                let piece = Instant::now();
                while piece.elapsed() < PIECE && started.elapsed() < time {
                    std::thread::sleep(STEP.min(time));
                    sample.look(snapshot);
                }
                sample.look_at_pools();
            });
            if let Some(user) = context.user {
                user.py.check_signals()?;
            }
        }
        sample.count(|entry, now| entry.1 = now)?;
        sample.time = started.elapsed();
        Ok(sample)
    }

    fn count(&mut self, set: impl Fn(&mut (u64, u64), u64)) -> Result<(), Error> {
        for task in tasks()? {
            if let Some(run) = task.run() {
                // A thread that was not there at the beginning has used all of its time since.
                set(self.used.entry(task.tid).or_default(), run.cpu_ns);
            }
        }
        Ok(())
    }

    fn look(&mut self, snapshot: &ProcessSnapshot) {
        let now = Interpreter::look();
        self.looks += 1;
        for &tid in now.states.keys() {
            let call = Task::new(tid).call();
            if call.is_some_and(|call| snapshot.waits_for_the_gil(&call)) {
                *self.waits.entry(tid).or_default() += 1;
            }
        }
        if let Some(holder) = now.holder {
            let top = now.frames(holder).into_iter().take(1).collect::<Vec<_>>();
            let function = Functions::default().of(&top).and_then(|mut top| top.pop());
            let function = function.map_or("?".into(), |function| function.function);
            *self.holders.entry((holder, function)).or_default() += 1;
        }
    }

    /// Looks whether the threads of pools that run have work.
    fn look_at_pools(&mut self) {
        let Ok(snapshot) = ProcessSnapshot::look() else {
            return;
        };
        self.pool_looks += 1;
        let running = |pool: &&Pool| {
            snapshot
                .threads
                .iter()
                .any(|thread| thread.state == 'R' && pool.owns(thread))
        };
        let pools: Vec<&Pool> = snapshot.pools.iter().filter(running).collect();
        if pools.is_empty() {
            return;
        }
        let stacks = stacks(&snapshot, StackOptions::default());
        for pool in pools {
            let (idle, unknown) = self.idle_runs.entry(pool.index).or_default();
            match has_work(pool, &snapshot, &stacks) {
                Some(true) => {}
                Some(false) => *idle += 1,
                None => *unknown += 1,
            }
        }
    }

    /// How often the threads of a pool were seen to run without work, if they always ran and never had any.
    pub(super) fn idle_runs(&self, pool: &Pool) -> Option<usize> {
        let &(idle, unknown) = self.idle_runs.get(&pool.index)?;
        (idle + unknown == self.pool_looks && idle > 2).then_some(idle)
    }

    /// How much of one CPU a thread used, in percent.
    pub(super) fn cpu_percent(&self, tid: i32) -> Option<f64> {
        let (before, after) = self.used.get(&tid)?;
        let share = after.saturating_sub(*before) as f64 / self.time.as_nanos() as f64;
        Some((share * 1000.0).round() / 10.0)
    }

    /// In which share of the looks a thread waited for the GIL.
    pub(super) fn gil_wait(&self, tid: i32) -> f64 {
        self.waits.get(&tid).copied().unwrap_or(0) as f64 / self.looks.max(1) as f64
    }

    /// Who was seen most often with the GIL, besides one thread, and how often.
    pub(super) fn usual_holder(&self, besides: i32) -> Option<(i32, &str, usize)> {
        let others = self.holders.iter().filter(|((tid, _), _)| *tid != besides);
        let ((tid, function), count) = others.max_by_key(|(_, count)| **count)?;
        Some((*tid, function, *count))
    }
}

/// Whether a thread of a pool is seen in nothing but the functions in which the pool waits.
pub(super) fn spins(pool: &Pool, stack: &MergedStack) -> bool {
    let waits = |call: &StackFrame| call.plumbing || pool.waits_in(call);
    stack.calls.iter().all(waits)
}

/// Whether somebody may compute with a pool: a thread of others is in its library, or one of its own is in other code.
/// Not known where one of its own has not shown its stack, as one that gets no CPU.
fn has_work(
    pool: &Pool,
    snapshot: &ProcessSnapshot,
    stacks: &HashMap<i32, MergedStack>,
) -> Option<bool> {
    let inside = |call: &StackFrame| call.index == Some(pool.index);
    let mut is_known = true;
    for thread in &snapshot.threads {
        let stack = stacks.get(&thread.tid).filter(|stack| stack.native);
        let works = match (pool.owns(thread), stack) {
            _ if thread.tid == snapshot.asks => false,
            (false, stack) => stack.is_some_and(|stack| stack.calls.iter().any(inside)),
            (true, Some(stack)) => !spins(pool, stack),
            (true, None) => {
                is_known = false;
                false
            }
        };
        if works {
            return Some(true);
        }
    }
    is_known.then_some(false)
}
