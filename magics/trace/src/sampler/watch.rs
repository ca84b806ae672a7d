//! The threads that are sampled: each has a seat and a timer, which rests while the thread sleeps.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use diaphane_sight::proc::maps::Maps;
use diaphane_sight::proc::tasks;
use diaphane_sight::threads::{Run, Task};
use diaphane_sight::unwind::{Snapshot, asleep_copy};

use super::ring::{SEATS, Seat, seat, value};
use super::timer::{Timer, cpu};
use super::{Clock, Doing, SamplerPlan, Threads};

/// A thread that has slept for so long gets no more signals.
const TIMEOUT: Duration = Duration::from_millis(100);
/// A thread sleeps that uses less of a CPU than the part with this denominator.
const HARDLY: u128 = 50;
/// How often it is looked at a sleeping thread.
const LOOK: Duration = Duration::from_millis(20);

pub(super) struct Watch {
    signal: i32,
    period: Duration,
    watched: BTreeMap<i32, Watched>,
    free: Vec<usize>,
    ignored: HashSet<i32>,
    unreachable: HashSet<i32>,
    maps: Option<Maps>,
}

struct Watched {
    seat: usize,
    timer: Timer,
    rests: bool,
    cpu: u64,
    seen: Instant,
    busy: Instant,
    looked: Instant,
    asleep: Option<(Run, Asleep)>,
}

/// A thread that sleeps, copied from outside.
#[derive(Clone)]
pub(super) struct Asleep {
    pub tid: i32,
    pub copy: Snapshot,
    futex: usize,
}

impl Watch {
    pub(super) fn new(plan: &SamplerPlan, signal: i32) -> Self {
        Self {
            signal,
            period: Duration::from_nanos(1_000_000_000 / u64::from(plan.hz.max(1))),
            watched: BTreeMap::new(),
            free: (0..SEATS).rev().collect(),
            ignored: HashSet::new(),
            unreachable: HashSet::new(),
            maps: None,
        }
    }

    /// Finds threads that are new, and forgets those that ended.
    pub(super) fn look(&mut self, plan: &SamplerPlan) {
        let tids: Vec<i32> = match plan.threads {
            Threads::Main => vec![plan.main],
            Threads::Except(_) => tasks::numbers(),
        };
        let gone = self.watched.extract_if(.., |tid, _| !tids.contains(tid));
        self.free.extend(gone.map(|(_, watched)| watched.seat));
        let arguments = (plan.arguments)();
        for (tid, watched) in &self.watched {
            let argument = arguments.get(tid).copied().unwrap_or(0);
            seat(watched.seat)
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
        let is_left_out = match plan.threads {
            Threads::Main => false,
            Threads::Except(names) => {
                let own = tasks::name(tid);
                own.is_some_and(|own| names.iter().any(|name| own.starts_with(name)))
            }
        };
        if is_left_out {
            self.ignored.insert(tid);
            return;
        }
        if self.blocks_the_signal(tid) {
            self.unreachable.insert(tid);
            self.ignored.insert(tid);
            return;
        }
        let (Some(index), Some(used)) = (self.free.pop(), cpu(tid)) else {
            return;
        };
        let Ok(timer) = Timer::new(tid, self.signal, value(index)) else {
            self.free.push(index);
            self.unreachable.insert(tid);
            self.ignored.insert(tid);
            return;
        };
        let is_main = tid == plan.main;
        prepare(seat(index), tid, argument, used, plan);
        if is_main {
            timer.start(self.period, self.period);
        }
        let now = Instant::now();
        let watched = Watched {
            seat: index,
            timer,
            rests: !is_main,
            cpu: used,
            seen: now,
            busy: now,
            looked: now,
            asleep: None,
        };
        self.watched.insert(tid, watched);
    }

    fn blocks_the_signal(&self, tid: i32) -> bool {
        tasks::status(tid).is_some_and(|state| state.blocks(self.signal))
    }

    /// Lets timers rest or go on, and looks at the threads that sleep: each with the number of samples that it stands for.
    pub(super) fn idle(&mut self, plan: &SamplerPlan) -> Vec<(Asleep, u32, Doing)> {
        let mut found = Vec::new();
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
                    watched.asleep = None;
                    seat(watched.seat).cpu.store(used, Ordering::Relaxed);
                    // Not all threads at the same time.
                    let first = self.period * (1 + tid.unsigned_abs() % 16) / 16;
                    watched.timer.start(first, self.period);
                }
                (false, false) if tid != plan.main && now - watched.busy > TIMEOUT => {
                    watched.rests = true;
                    watched.looked = now;
                    watched.timer.pause();
                }
                (true, false) if now - watched.looked >= LOOK => {
                    let passed = now - watched.looked;
                    watched.looked = now;
                    if plan.clock != Clock::Cpu {
                        let count = (passed.as_nanos() / self.period.as_nanos()) as u32;
                        found.extend(look_at(watched, tid, &mut self.maps, plan, count));
                    }
                }
                _ => {}
            }
        }
        found
    }

    /// Whether a look of this kind is wanted from this thread.
    pub(super) fn is_wanted(&self, plan: &SamplerPlan, tid: i32, doing: Doing) -> bool {
        is_wanted(plan, tid, doing)
    }

    /// Deletes all timers.
    pub(super) fn stop(&mut self) {
        self.watched.clear();
    }

    /// The threads that could not be sampled.
    pub(super) fn unreachable(&self) -> Vec<i32> {
        let mut all: Vec<i32> = self.unreachable.iter().copied().collect();
        all.sort_unstable();
        all
    }
}

fn prepare(seat: &Seat, tid: i32, argument: usize, used: u64, plan: &SamplerPlan) {
    let floor = if tid == plan.main { plan.floor } else { 0 };
    seat.tid.store(tid, Ordering::Relaxed);
    seat.argument.store(argument, Ordering::Relaxed);
    seat.floor.store(floor, Ordering::Relaxed);
    seat.cpu.store(used, Ordering::Relaxed);
    seat.due.store(0, Ordering::Relaxed);
}

fn is_wanted(plan: &SamplerPlan, tid: i32, doing: Doing) -> bool {
    match plan.clock {
        Clock::Wall | Clock::Cpu => true,
        Clock::Busy => tid == plan.main || doing != Doing::Waiting,
    }
}

/// What a sleeping thread does. As long as it did not run, that is what it did the last time.
fn look_at(
    watched: &mut Watched,
    tid: i32,
    maps: &mut Option<Maps>,
    plan: &SamplerPlan,
    count: u32,
) -> Option<(Asleep, u32, Doing)> {
    let task = Task::new(tid);
    let run = task.run()?;
    let known = watched.asleep.as_ref().filter(|(before, _)| *before == run);
    let asleep = match known {
        Some((_, asleep)) => asleep.clone(),
        None => {
            let futex = task.call()?.first;
            let doing = doing(plan, futex);
            if !is_wanted(plan, tid, doing) {
                return None;
            }
            let asleep = copy(&task, maps, plan, watched.seat, futex)?;
            watched.asleep = Some((run, asleep.clone()));
            asleep
        }
    };
    let doing = doing(plan, asleep.futex);
    Some((asleep, count, doing))
}

fn copy(
    task: &Task,
    maps: &mut Option<Maps>,
    plan: &SamplerPlan,
    index: usize,
    futex: usize,
) -> Option<Asleep> {
    let fresh = || Maps::query().ok();
    let known = maps.get_or_insert_with(|| fresh().unwrap_or_default());
    let mut copied = asleep_copy(task, known);
    if copied.is_none() {
        *maps = fresh();
        copied = asleep_copy(task, maps.as_ref()?);
    }
    let mut words = vec![0; diaphane_sight::unwind::WORDS];
    let argument = seat(index).argument.load(Ordering::Relaxed);
    let noted = (plan.note)(argument, &mut words);
    words.truncate(noted);
    let mut copy = copied?;
    copy.noted = words;
    Some(Asleep {
        tid: task.tid,
        copy,
        futex,
    })
}

fn doing(plan: &SamplerPlan, futex: usize) -> Doing {
    match plan.gil {
        Some(gil) if gil.contains(futex) => Doing::WaitingForGil,
        _ => Doing::Waiting,
    }
}
