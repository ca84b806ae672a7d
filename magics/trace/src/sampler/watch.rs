//! The threads that are sampled: each has a place in the table. Once in each period it is looked whether a thread runs:
//! then it gets a signal. One that sleeps is copied from outside, once for each sleep. One that was woken and has had no
//! CPU since is still in its system call, which a signal would end.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use diaphane_sight::proc::maps::Maps;
use diaphane_sight::proc::tasks;
use diaphane_sight::threads::{Run, Task, is_own_thread};
use diaphane_sight::unwind::{Snapshot, Unsent, asleep_copy, send};

use super::ring::{MOST_THREADS, SampledThread, sampled_thread, value};
use super::timer::cpu;
use super::{Clock, Doing, SamplerPlan, Threads, Unreachable};

/// A thread that has slept for so long is looked at less often, but for that of the cell.
const TIMEOUT: Duration = Duration::from_millis(100);
/// A thread sleeps that uses less of a CPU than the part with this denominator.
const HARDLY: u128 = 50;
/// How often it is looked at such a thread, and how long looks at one sleep are added up at the most.
const LOOK: Duration = Duration::from_millis(20);

pub(super) struct Watch {
    signal: i32,
    period: Duration,
    /// The end of the last period.
    beaten: Instant,
    watched: BTreeMap<i32, Watched>,
    free: Vec<usize>,
    ignored: HashSet<i32>,
    /// Those that block the signal, with their time on a CPU when that was seen first and last.
    unreachable: BTreeMap<i32, (u64, u64)>,
    outside: Outside,
}

struct Watched {
    index: usize,
    task: Task,
    rests: bool,
    /// Its time on a CPU at the last look, and at the last decision whether it rests.
    used: u64,
    cpu: u64,
    seen: Instant,
    busy: Instant,
    looked: Instant,
    sleep: Option<SeenSleep>,
}

/// A sleep of a thread, which did not run meanwhile.
struct SeenSleep {
    run: Run,
    began: Instant,
    /// What it does; nothing where nobody wants to know.
    copy: Option<(Snapshot, Doing)>,
    /// How many looks were not told yet.
    count: u32,
}

/// Looks at a thread that sleeps.
pub(super) struct Slept {
    pub tid: i32,
    pub count: u32,
    pub doing: Doing,
    pub copy: Snapshot,
}

/// What copies from outside need, and those that were made.
#[derive(Default)]
struct Outside {
    maps: Option<Maps>,
    found: Vec<Slept>,
}

impl Watch {
    pub(super) fn new(plan: &SamplerPlan, signal: i32) -> Self {
        Self {
            signal,
            period: Duration::from_nanos(1_000_000_000 / u64::from(plan.hz.max(1))),
            beaten: Instant::now(),
            watched: BTreeMap::new(),
            free: (0..MOST_THREADS).rev().collect(),
            ignored: HashSet::new(),
            unreachable: BTreeMap::new(),
            outside: Outside::default(),
        }
    }

    /// Finds threads that are new, and forgets those that ended.
    pub(super) fn look(&mut self, plan: &SamplerPlan) {
        let tids: Vec<i32> = match plan.threads {
            Threads::Main => vec![plan.main],
            Threads::Users => tasks::numbers(),
        };
        let gone = self.watched.extract_if(.., |tid, _| !tids.contains(tid));
        for (_, mut watched) in gone {
            self.outside.tell(&mut watched);
            self.free.push(watched.index);
        }
        let arguments = (plan.arguments)();
        for (tid, watched) in &self.watched {
            let argument = arguments.get(tid).copied().unwrap_or(0);
            sampled_thread(watched.index)
                .argument
                .store(argument, Ordering::Relaxed);
        }
        self.ignored.retain(|tid| tids.contains(tid));
        for tid in tids {
            if !self.watched.contains_key(&tid) && !self.ignored.contains(&tid) {
                let argument = arguments.get(&tid).copied().unwrap_or(0);
                self.add(tid, argument, plan);
            }
        }
    }

    fn add(&mut self, tid: i32, argument: usize, plan: &SamplerPlan) {
        if plan.threads == Threads::Users && is_own_thread(tid) {
            self.ignored.insert(tid);
            return;
        }
        if tasks::status(tid).is_some_and(|state| state.blocks(self.signal)) {
            // It is asked again: a thread begins with all signals blocked.
            let used = cpu(tid).unwrap_or_default();
            self.unreachable.entry(tid).or_insert((used, used)).1 = used;
            return;
        }
        self.unreachable.remove(&tid);
        let (Some(index), Some(used)) = (self.free.pop(), cpu(tid)) else {
            return;
        };
        prepare(sampled_thread(index), tid, argument, used, plan);
        let now = Instant::now();
        let watched = Watched {
            index,
            task: Task::new(tid),
            rests: tid != plan.main,
            used,
            cpu: used,
            seen: now,
            busy: now,
            looked: now,
            sleep: None,
        };
        self.watched.insert(tid, watched);
    }

    /// How long it is to the end of the period.
    pub(super) fn rest(&self) -> Duration {
        self.period.saturating_sub(self.beaten.elapsed())
    }

    /// Looks at all threads that do not rest, if a period is over: each look stands for all that are.
    pub(super) fn beat(&mut self, plan: &SamplerPlan) {
        let passed = self.beaten.elapsed().as_nanos() / self.period.as_nanos().max(1);
        let Ok(count @ 1..) = u32::try_from(passed) else {
            return;
        };
        self.beaten += self.period * count;
        for watched in self.watched.values_mut().filter(|one| !one.rests) {
            let Some(used) = cpu(watched.task.tid) else {
                continue;
            };
            let has_run = std::mem::replace(&mut watched.used, used) != used;
            let is_woken = !has_run && watched.sleep.is_some();
            if is_woken || watched.task.call().is_some() {
                self.outside.sleeps(watched, plan, count);
                continue;
            }
            self.outside.tell(watched);
            watched.sleep = None;
            sampled_thread(watched.index)
                .owed
                .fetch_add(count, Ordering::Relaxed);
            if has_run {
                ask(watched, self.signal);
            }
        }
    }

    /// Lets threads rest that have slept for long, or look at them again, and looks at those that rest.
    pub(super) fn idle(&mut self, plan: &SamplerPlan) {
        for (&tid, watched) in &mut self.watched {
            let Some(used) = cpu(tid) else { continue };
            let now = Instant::now();
            let elapsed = now.duration_since(watched.seen).as_nanos();
            let works = u128::from(used.saturating_sub(watched.cpu)) * HARDLY >= elapsed;
            (watched.cpu, watched.seen) = (used, now);
            if works {
                watched.busy = now;
            }
            match (watched.rests, works) {
                (true, true) => {
                    watched.rests = false;
                    sampled_thread(watched.index)
                        .cpu
                        .store(used, Ordering::Relaxed);
                }
                (false, false) if tid != plan.main && now - watched.busy > TIMEOUT => {
                    watched.rests = true;
                    watched.looked = now;
                }
                (true, false) if now - watched.looked >= LOOK => {
                    let passed = now - watched.looked;
                    watched.looked = now;
                    let count = (passed.as_nanos() / self.period.as_nanos().max(1)) as u32;
                    self.outside.sleeps(watched, plan, count);
                }
                _ => {}
            }
        }
    }

    /// What was seen of threads that sleep.
    pub(super) fn take(&mut self) -> Vec<Slept> {
        std::mem::take(&mut self.outside.found)
    }

    /// Looks at nobody any more.
    pub(super) fn stop(&mut self) {
        for mut watched in std::mem::take(&mut self.watched).into_values() {
            self.outside.tell(&mut watched);
        }
    }

    /// The threads that could not be sampled, though they were on a CPU for so long that they should have been.
    pub(super) fn unreachable(&self) -> Vec<Unreachable> {
        let due = u64::try_from(self.period.as_nanos()).unwrap_or(u64::MAX);
        let used = |(&tid, &(first, last)): (&i32, &(u64, u64))| {
            let last = cpu(tid).unwrap_or(last);
            Unreachable {
                tid,
                cpu_ns: last.saturating_sub(first),
            }
        };
        let all = self.unreachable.iter().map(used);
        all.filter(|one| one.cpu_ns >= due).collect()
    }
}

/// Has a thread make a copy of itself, unless it was asked and has not done it yet.
fn ask(watched: &Watched, signal: i32) {
    let sampled = sampled_thread(watched.index);
    if sampled.asked.swap(true, Ordering::AcqRel) {
        return;
    }
    let value = value(watched.index) as u64;
    if send(watched.task.tid, signal, value) == Err(Unsent::Denied) {
        sampled.asked.store(false, Ordering::Release);
    }
}

fn prepare(sampled: &SampledThread, tid: i32, argument: usize, used: u64, plan: &SamplerPlan) {
    let floor = if tid == plan.main { plan.floor } else { 0 };
    sampled.tid.store(tid, Ordering::Relaxed);
    sampled.argument.store(argument, Ordering::Relaxed);
    sampled.floor.store(floor, Ordering::Relaxed);
    sampled.cpu.store(used, Ordering::Relaxed);
    sampled.due.store(0, Ordering::Relaxed);
    sampled.owed.store(0, Ordering::Relaxed);
    sampled.asked.store(false, Ordering::Relaxed);
}

/// Whether a look of this kind is wanted from this thread.
pub(super) fn is_wanted(plan: &SamplerPlan, tid: i32, doing: Doing) -> bool {
    match plan.clock {
        Clock::Wall | Clock::Cpu => true,
        Clock::Busy => tid == plan.main || doing != Doing::Waiting,
    }
}

impl Outside {
    /// A thread sleeps at so many looks. As long as it did not run, that is what it did the last time.
    fn sleeps(&mut self, watched: &mut Watched, plan: &SamplerPlan, count: u32) {
        let Some(run) = watched.task.run().filter(|_| plan.clock != Clock::Cpu) else {
            return;
        };
        if let Some(sleep) = watched.sleep.as_mut().filter(|sleep| sleep.run == run) {
            sleep.count += count;
            if sleep.began.elapsed() >= LOOK {
                self.tell(watched);
            }
            return;
        }
        self.tell(watched);
        watched.sleep = Some(SeenSleep {
            run,
            began: Instant::now(),
            copy: self.copy(watched, plan),
            count,
        });
    }

    /// Tells the looks that were added up.
    fn tell(&mut self, watched: &mut Watched) {
        let Some(sleep) = &mut watched.sleep else {
            return;
        };
        sleep.began = Instant::now();
        let count = std::mem::take(&mut sleep.count);
        if let (Some((copy, doing)), 1..) = (&sleep.copy, count) {
            self.found.push(Slept {
                tid: watched.task.tid,
                count,
                doing: *doing,
                copy: copy.clone(),
            });
        }
    }

    /// What a thread does that sleeps, if somebody wants to know.
    fn copy(&mut self, watched: &Watched, plan: &SamplerPlan) -> Option<(Snapshot, Doing)> {
        let task = &watched.task;
        let futex = task.call()?.first;
        let doing = match plan.gil {
            Some(gil) if gil.contains(futex) => Doing::WaitingForGil,
            _ => Doing::Waiting,
        };
        if !is_wanted(plan, task.tid, doing) {
            return None;
        }
        let fresh = || Maps::read().ok();
        let known = self.maps.get_or_insert_with(|| fresh().unwrap_or_default());
        let mut copied = asleep_copy(task, known);
        if copied.is_none() {
            self.maps = fresh();
            copied = asleep_copy(task, self.maps.as_ref()?);
        }
        let mut copy = copied?;
        let sampled = sampled_thread(watched.index);
        let argument = sampled.argument.load(Ordering::Relaxed);
        copy.noted = vec![0; diaphane_sight::unwind::WORDS];
        let noted = (plan.note)(argument, &mut copy.noted);
        copy.noted.truncate(noted);
        copy.floor =
            Some(sampled.floor.load(Ordering::Relaxed)).filter(|floor| *floor > copy.start);
        Some((copy, doing))
    }
}
