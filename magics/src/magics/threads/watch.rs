//! What is seen of the threads while a cell runs: when each was there, what it used, and whose it is.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use diaphane_sight::threads::{Task, is_own_thread, tasks};

use super::sample::spins;
use crate::stacks::live_pools::Pool;
use crate::stacks::merged::{StackOptions, stacks};
use crate::stacks::snapshot::{ProcessSnapshot, ThreadKind, ThreadNames};
use diaphane_cpython::frames::Functions;
use diaphane_cpython::interpreter::Interpreter;

/// How often the owners of threads are looked for, and what those of pools do.
const PIECE: Duration = Duration::from_millis(50);
/// A thread works that uses more than this part of the time between two looks.
const WORKS: u64 = 5;

/// A thread that was there.
pub(super) struct SeenThread {
    pub tid: i32,
    pub name: String,
    pub kind: ThreadKind,
    /// The pool that it belongs to, as people call it.
    pub pool: Option<String>,
    /// Whether it came while the cell ran.
    pub is_new: bool,
    pub first: Duration,
    pub last: Duration,
    /// What it used since it was first seen; of one that is new, since it began.
    pub cpu_ns: u64,
    /// At how many looks it waited for the GIL.
    pub waits: usize,
    task: Task,
    before: u64,
    /// Whether it was seen what it was started for.
    is_told: bool,
}

/// Everything that was seen.
pub(super) struct Watch {
    /// The process before the cell.
    snapshot: ProcessSnapshot,
    names: ThreadNames,
    began: Instant,
    pieced: Instant,
    looked: Instant,
    pub looks: usize,
    seen: BTreeMap<i32, SeenThread>,
    /// The time of each look, and what was used since the one before.
    loads: Vec<(Duration, u64)>,
    /// How many threads there were, and how many of them worked.
    pub most: usize,
    pub most_working: usize,
    working: usize,
    /// For each pool, how often a thread of it was seen to spin and to run.
    spins: BTreeMap<String, (usize, usize)>,
}

/// Of fewer looks, a share says nothing.
const ENOUGH: usize = 50;

impl Watch {
    /// The share of the looks at which a thread waited for the GIL.
    pub fn gil_waits(&self, one: &SeenThread) -> Option<f64> {
        (self.looks >= ENOUGH).then(|| one.waits as f64 / self.looks as f64)
    }

    pub(super) fn begin(snapshot: ProcessSnapshot, names: ThreadNames) -> Self {
        let now = Instant::now();
        let mut watch = Self {
            snapshot,
            names,
            began: now,
            pieced: now,
            looked: now,
            looks: 0,
            seen: BTreeMap::new(),
            loads: Vec::new(),
            most: 0,
            most_working: 0,
            working: 0,
            spins: BTreeMap::new(),
        };
        for task in tasks().unwrap_or_default() {
            let before = task.cpu_ns().unwrap_or(0);
            watch.add(task, before, false);
        }
        watch.own();
        watch
    }

    fn add(&mut self, task: Task, before: u64, is_new: bool) {
        let tid = task.tid;
        let now = self.began.elapsed();
        let name = self
            .names
            .get(&tid)
            .cloned()
            .or_else(|| Some(task.name_and_state()?.0));
        let kind = match u32::try_from(tid) == Ok(std::process::id()) {
            true => ThreadKind::Main,
            false => ThreadKind::Unknown,
        };
        let seen = SeenThread {
            tid,
            name: name.unwrap_or_default(),
            kind,
            pool: None,
            is_new,
            first: now,
            last: now,
            cpu_ns: 0,
            waits: 0,
            task,
            before,
            is_told: false,
        };
        self.seen.insert(tid, seen);
    }

    /// One look at all threads.
    pub(super) fn look(&mut self) {
        for task in tasks().unwrap_or_default() {
            if !self.seen.contains_key(&task.tid) && !is_own_thread(task.tid) {
                self.add(task, 0, true);
            }
        }
        let passed = self.looked.elapsed();
        self.looked = Instant::now();
        let (mut used, mut working, mut there) = (0, 0, 0);
        let (now, least) = (self.began.elapsed(), passed.as_nanos() as u64 / WORKS);
        // One of ours is seen before it can say so.
        self.seen.retain(|tid, _| !is_own_thread(*tid));
        for seen in self.seen.values_mut() {
            let Some(used_so_far) = seen.task.cpu_ns() else {
                continue;
            };
            let cpu_ns = used_so_far.saturating_sub(seen.before);
            let since = cpu_ns.saturating_sub(seen.cpu_ns);
            (seen.cpu_ns, seen.last) = (cpu_ns, now);
            used += since;
            there += 1;
            working += usize::from(since > least);
        }
        self.looks += 1;
        self.loads.push((now, used));
        self.most = self.most.max(there);
        self.most_working = self.most_working.max(working);
        self.working += working;
        self.look_at_python();
        if self.pieced.elapsed() >= PIECE || self.looks == 1 {
            self.pieced = Instant::now();
            self.own();
        }
    }

    /// Who waits for the GIL, and what the new ones among Python's threads were started for.
    fn look_at_python(&mut self) {
        let now = Interpreter::look();
        for &tid in now.states.keys() {
            let Some(seen) = self.seen.get_mut(&tid) else {
                continue;
            };
            let call = seen.task.call();
            seen.waits +=
                usize::from(call.is_some_and(|call| self.snapshot.waits_for_the_gil(&call)));
            if seen.is_told || seen.kind == ThreadKind::Main {
                continue;
            }
            let functions = Functions::default()
                .of(&now.frames(tid))
                .unwrap_or_default();
            let run = functions
                .iter()
                .position(|function| function.function == "Thread.run");
            let Some(started) = run.and_then(|run| functions.get(run.checked_sub(1)?)) else {
                continue;
            };
            (seen.is_told, seen.kind) = (true, ThreadKind::Python);
            seen.pool = executor(&started.file).map(str::to_owned);
            if !self.names.contains_key(&tid) {
                seen.name = started.function.clone();
            }
        }
    }

    /// Looks whose the threads are, and whether those of pools that run have work.
    fn own(&mut self) {
        let Ok(mut now) = ProcessSnapshot::look() else {
            return;
        };
        for thread in &now.threads {
            let Some(seen) = self.seen.get_mut(&thread.tid) else {
                continue;
            };
            if seen.kind == ThreadKind::Unknown {
                seen.kind = now.kind(thread, self.names.contains_key(&thread.tid));
            }
            if let Some(pool) = now.pools.iter().find(|pool| pool.owns(thread)) {
                seen.pool.get_or_insert_with(|| pool.title());
                if !self.names.contains_key(&thread.tid) {
                    seen.name = pool.thread_name();
                }
            }
        }
        let pools = std::mem::take(&mut now.pools);
        let owner = |tid: i32, now: &ProcessSnapshot| {
            let thread = now.threads.iter().find(|thread| thread.tid == tid)?;
            pools.iter().find(|pool: &&Pool| pool.owns(thread))
        };
        // Only those are asked that run for a pool: a signal would end system calls of others.
        now.threads
            .retain(|thread| thread.state == 'R' && pools.iter().any(|pool| pool.owns(thread)));
        if now.threads.is_empty() {
            return;
        }
        for (tid, stack) in stacks(&now, StackOptions::default()) {
            let Some(pool) = owner(tid, &now).filter(|_| stack.native) else {
                continue;
            };
            let counts = self.spins.entry(pool.title()).or_default();
            counts.0 += usize::from(spins(pool, &stack));
            counts.1 += 1;
        }
    }

    /// Gives names of Python's to the threads that are still there.
    pub(super) fn name(&mut self, names: &HashMap<i32, String>) {
        for (tid, name) in names {
            if let Some(seen) = self.seen.get_mut(tid) {
                seen.name.clone_from(name);
            }
        }
    }

    /// The time from the first look to the last one.
    pub(super) fn whole(&self) -> Duration {
        self.looked.duration_since(self.began)
    }

    /// The threads, but for the kernel's own.
    pub(super) fn threads(&self) -> impl Iterator<Item = &SeenThread> {
        self.seen
            .values()
            .filter(|seen| seen.kind != ThreadKind::Kernel)
    }

    /// The pools with how often a thread of theirs was seen to spin, and to run.
    pub(super) fn spins(&self) -> impl Iterator<Item = (&str, usize, usize)> {
        self.spins
            .iter()
            .map(|(pool, (idle, runs))| (pool.as_str(), *idle, *runs))
    }

    /// How many threads worked at a look, on average.
    pub(super) fn mean_working(&self) -> f64 {
        let mean = self.working as f64 / self.looks.max(1) as f64;
        (mean * 10.0).round() / 10.0
    }

    /// How many CPUs were used in each of so many pieces of the time at the most.
    pub(super) fn load(&self, pieces: usize) -> Vec<f64> {
        let size = self.loads.len().div_ceil(pieces).max(1);
        let mut before = Duration::ZERO;
        let piece = |looks: &[(Duration, u64)]| {
            let end = looks.last().map_or(before, |(time, _)| *time);
            let passed = (end - before).as_nanos().max(1) as f64;
            before = end;
            let used: u64 = looks.iter().map(|(_, used)| used).sum();
            (used as f64 / passed * 100.0).round() / 100.0
        };
        self.loads.chunks(size).map(piece).collect()
    }
}

/// Who starts threads by functions of this file.
fn executor(file: &str) -> Option<&'static str> {
    match file {
        _ if file.ends_with("concurrent/futures/thread.py") => Some("ThreadPoolExecutor"),
        _ if file.ends_with("multiprocessing/pool.py") => Some("multiprocessing.pool.ThreadPool"),
        _ => None,
    }
}
