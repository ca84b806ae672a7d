//! What was seen of a process over time, in bounded memory: where there are many points, each two of them become one, and
//! from then on a point lasts twice as long.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use crate::stacks::main_stack::ToldCall;
use crate::stacks::merged::FrameKind;
use crate::stacks::monitor::{Moment, NamedThread};
use crate::stacks::snapshot::ThreadNames;

/// No more points are kept.
const POINTS: usize = 600;
/// So many threads have their part of a point to themselves; what the others used is in the whole only.
const OF_A_POINT: usize = 16;
/// No more threads are remembered, and no more functions.
const THREADS: usize = 4096;
const FUNCTIONS: usize = 256;

/// What was seen between two moments.
#[derive(Clone, Default)]
pub(super) struct Point {
    /// The time of the later one, since the first look.
    pub end_ns: u64,
    /// The most memory at a look.
    pub rss: Option<u64>,
    /// What the process used.
    pub cpu_ns: u64,
    /// What the threads used that used something, by their numbers.
    pub threads: Vec<(i32, u64)>,
    /// At how many looks who had the GIL.
    pub holders: Vec<(Option<i32>, u32)>,
    looks: u32,
}

/// A thread, from when it was first seen.
#[derive(Clone)]
pub(super) struct MonitoredThread {
    pub tid: i32,
    pub called: NamedThread,
    pub first_ns: u64,
    pub last_ns: u64,
    /// What it used since it was first seen; of one that is new, since it began.
    pub cpu_ns: u64,
    /// At how many looks it had the GIL.
    pub holds: u64,
    /// What its clock said at the last look.
    clock: u64,
    /// What it used beyond the time that had passed: a clock is read a moment after the time, and on a busy machine a long
    /// one, so that this is for the time that follows.
    ahead: u64,
}

/// Everything that was seen.
#[derive(Default)]
pub(super) struct Record {
    pub points: Vec<Point>,
    pub threads: BTreeMap<i32, MonitoredThread>,
    /// The functions of the thread that is watched, and how often each was the innermost that says something.
    pub functions: HashMap<ToldCall, u64>,
    pub samples: u64,
    pub looks: u64,
    /// What the process used.
    pub cpu_ns: u64,
    pub usable_cpus: Option<usize>,
    pub rss: MemoryExtent,
    /// Who has the GIL at the last look.
    pub holder: Option<i32>,
    /// What the watched thread does, by the last sample.
    pub sentence: Option<String>,
    /// The names that are known, and of which epoch.
    names: BTreeMap<i32, NamedThread>,
    pub epoch: Option<u64>,
    began_ns: u64,
    clock: u64,
    /// What the process used beyond the time that had passed, as a thread's.
    ahead: u64,
    /// How many looks a point has.
    span: u32,
}

/// Memory at the first and the last look, and its extremes.
#[derive(Clone, Copy, Default, Serialize)]
pub(super) struct MemoryExtent {
    pub first: Option<u64>,
    pub last: Option<u64>,
    pub least: Option<u64>,
    pub most: Option<u64>,
}

impl MemoryExtent {
    fn add(&mut self, now: Option<u64>) {
        let Some(now) = now else { return };
        self.first.get_or_insert(now);
        self.last = Some(now);
        self.least = Some(self.least.map_or(now, |least| least.min(now)));
        self.most = Some(self.most.map_or(now, |most| most.max(now)));
    }
}

impl Record {
    /// Adds what was seen at a moment.
    pub fn add(&mut self, moment: &Moment<'_>) {
        if let Some(names) = moment.names {
            self.names.clone_from(&names.names);
        }
        self.epoch = Some(moment.epoch);
        self.usable_cpus = moment.usable_cpus;
        self.rss.add(moment.rss);
        let is_first = self.looks == 0;
        if is_first {
            (self.began_ns, self.clock, self.span) = (moment.at_ns, moment.cpu_ns, 1);
        }
        self.looks += 1;
        let now = moment.at_ns.saturating_sub(self.began_ns);
        let used = self.add_threads(moment, now, is_first);
        self.holder = moment.gil.filter(|holder| !self.is_own(*holder));
        if let Some(holder) = self.holder.and_then(|tid| self.threads.get_mut(&tid)) {
            holder.holds += 1;
        }
        self.add_sample(moment);
        let cpu_ns = moment.cpu_ns.saturating_sub(self.clock);
        self.clock = moment.cpu_ns;
        self.cpu_ns += cpu_ns;
        if is_first {
            return;
        }
        let passed = now - self.points.last().map_or(0, |last| last.end_ns);
        let due = self.ahead + cpu_ns;
        let cpu_ns = match self.usable_cpus {
            Some(cpus) => due.min(passed * cpus as u64),
            None => due,
        };
        self.ahead = due - cpu_ns;
        let seen = Point {
            end_ns: now,
            rss: moment.rss,
            cpu_ns,
            threads: used,
            holders: vec![(self.holder, 1)],
            looks: 1,
        };
        match self.points.last_mut() {
            Some(last) if last.looks < self.span => last.join(seen),
            _ => self.points.push(seen),
        }
        if self.points.len() > POINTS {
            self.coarsen();
        }
    }

    /// What each thread used since the last look.
    fn add_threads(&mut self, moment: &Moment<'_>, now: u64, is_first: bool) -> Vec<(i32, u64)> {
        let mut used = Vec::new();
        let passed = now - self.points.last().map_or(0, |last| last.end_ns);
        for &(tid, _, clock, _) in &moment.threads {
            if self.threads.len() >= THREADS && !self.threads.contains_key(&tid) {
                continue;
            }
            let called = self.names.get(&tid);
            let seen = self.threads.entry(tid).or_insert_with(|| MonitoredThread {
                tid,
                called: NamedThread::default(),
                first_ns: now,
                last_ns: now,
                cpu_ns: 0,
                holds: 0,
                clock: if is_first { clock } else { 0 },
                ahead: 0,
            });
            if let Some(called) = called {
                seen.called.clone_from(called);
            }
            // A number that was given to a new thread has a clock that begins again.
            let since = clock.checked_sub(seen.clock).unwrap_or(clock);
            (seen.clock, seen.last_ns) = (clock, now);
            seen.cpu_ns += since;
            let due = seen.ahead + since;
            let share = due.min(passed);
            seen.ahead = due - share;
            if share > 0 {
                used.push((tid, share));
            }
        }
        keep_most(&mut used);
        used
    }

    fn add_sample(&mut self, moment: &Moment<'_>) {
        if let Some(sentence) = &moment.main.why {
            self.sentence = Some(sentence.clone());
        }
        let Some([function, callers @ ..]) = moment.main.stack.as_deref() else {
            return;
        };
        self.samples += 1;
        let mut function = function.clone();
        if function.kind == FrameKind::Native {
            // The line of Python that called it says more than one of a library's source.
            let mut python = callers.iter().filter(|one| one.kind == FrameKind::Python);
            let line = python.find_map(|caller| caller.place.clone());
            function.place = line.or(function.place);
        }
        if self.functions.len() < FUNCTIONS || self.functions.contains_key(&function) {
            *self.functions.entry(function).or_default() += 1;
        }
    }

    fn coarsen(&mut self) {
        self.span *= 2;
        self.points = self.points.chunks(2).map(Point::of).collect();
    }

    /// Gives names of Python's to the threads.
    pub fn name(&mut self, names: &ThreadNames) {
        for (tid, name) in names {
            if let Some(seen) = self
                .threads
                .get_mut(tid)
                .filter(|one| one.called.kind != "main")
            {
                seen.called.name.clone_from(name);
            }
        }
    }

    /// What a thread is called.
    pub fn name_of(&self, tid: i32) -> String {
        let name = self.threads.get(&tid).map(|thread| &thread.called.name);
        match name.filter(|name| !name.is_empty()) {
            Some(name) => name.clone(),
            None => format!("thread {tid}"),
        }
    }

    /// Whether a thread is one of the kernel's own.
    pub fn is_own(&self, tid: i32) -> bool {
        let thread = self.threads.get(&tid);
        thread.is_some_and(|thread| thread.called.kind == "kernel")
    }

    /// How long it was watched.
    pub fn elapsed_ns(&self) -> u64 {
        self.points.last().map_or(0, |last| last.end_ns)
    }

    /// The points, joined to at most so many.
    pub fn fewer(&self, most: usize) -> Vec<Point> {
        let size = self.points.len().div_ceil(most).max(1);
        self.points.chunks(size).map(Point::of).collect()
    }
}

/// The points with how long each of them lasted.
pub(super) fn spans(points: &[Point]) -> impl Iterator<Item = (&Point, u64)> {
    let mut before = 0;
    points.iter().map(move |point| {
        let lasted = point.end_ns.saturating_sub(before).max(1);
        before = point.end_ns;
        (point, lasted)
    })
}

impl Point {
    /// Several as one.
    fn of(several: &[Self]) -> Self {
        let mut one = Self::default();
        several.iter().for_each(|other| one.join(other.clone()));
        one
    }

    /// Takes in the point that follows.
    fn join(&mut self, next: Self) {
        self.end_ns = next.end_ns;
        self.rss = self.rss.max(next.rss);
        self.cpu_ns += next.cpu_ns;
        self.looks += next.looks;
        for (tid, used) in next.threads {
            match self.threads.iter_mut().find(|one| one.0 == tid) {
                Some(own) => own.1 += used,
                None => self.threads.push((tid, used)),
            }
        }
        keep_most(&mut self.threads);
        for (holder, looks) in next.holders {
            match self.holders.iter_mut().find(|one| one.0 == holder) {
                Some(own) => own.1 += looks,
                None => self.holders.push((holder, looks)),
            }
        }
    }

    /// What a thread used.
    pub fn used_by(&self, tid: i32) -> u64 {
        let own = self.threads.iter().find(|one| one.0 == tid);
        own.map_or(0, |one| one.1)
    }

    /// Who had the GIL at most of the looks.
    pub fn usual_holder(&self) -> Option<i32> {
        let most = self.holders.iter().max_by_key(|(_, looks)| *looks);
        most.and_then(|(holder, _)| *holder)
    }
}

/// Keeps those who used most.
fn keep_most(used: &mut Vec<(i32, u64)>) {
    if used.len() > OF_A_POINT {
        used.sort_unstable_by_key(|(_, used)| u64::MAX - used);
        used.truncate(OF_A_POINT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stacks::monitor::tests::moment;

    #[test]
    fn however_long_it_takes_nothing_is_lost_and_memory_is_bounded() {
        let mut record = Record::default();
        for look in 0..5000_u64 {
            let threads = (0..40).map(|tid| (tid, 'R', look * 1000, None)).collect();
            record.add(&moment(look * 100_000, look * 40_000, threads));
        }
        assert!(record.points.len() <= POINTS, "{}", record.points.len());
        assert!(
            record
                .points
                .iter()
                .all(|point| point.threads.len() <= OF_A_POINT)
        );
        let used: u64 = record.points.iter().map(|point| point.cpu_ns).sum();
        assert_eq!((used, record.elapsed_ns()), (4999 * 40_000, 499_900_000));
        assert!(record.threads.values().all(|one| one.cpu_ns == 4_999_000));
        let looks: u32 = record.points.iter().map(|point| point.looks).sum();
        assert_eq!(looks, 4999);
        assert!(record.fewer(60).len() <= 60);
    }

    #[test]
    fn a_thread_that_came_has_used_all_since_it_began() {
        let mut record = Record::default();
        record.add(&moment(0, 0, vec![(1, 'R', 500, None)]));
        record.add(&moment(10, 9, vec![(1, 'R', 507, None), (2, 'R', 2, None)]));
        assert_eq!(record.threads[&1].cpu_ns, 7);
        assert_eq!(record.threads[&2].cpu_ns, 2);
        // Its number was given to another one.
        record.add(&moment(
            20,
            12,
            vec![(1, 'R', 507, None), (2, 'R', 1, None)],
        ));
        assert_eq!(record.threads[&2].cpu_ns, 3);
    }

    #[test]
    fn a_thread_uses_no_more_than_the_time() {
        let mut record = Record::default();
        for (at, clock) in [(0, 0), (100, 160), (200, 190), (300, 290)] {
            record.add(&moment(at, clock, vec![(1, 'R', clock, None)]));
        }
        let used: Vec<_> = record
            .points
            .iter()
            .map(|one| one.threads.clone())
            .collect();
        assert_eq!(used, [[(1, 100)], [(1, 90)], [(1, 100)]]);
        assert_eq!(record.threads[&1].cpu_ns, 290);
    }
}
