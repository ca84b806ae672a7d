//! What is known of a process at one moment: an answer, and what the answers before it add to it.

use std::collections::{BTreeMap, HashMap, VecDeque};

use diaphane_wire::monitor::{Moment, PoolSize, RunningCell, StackCall, ThreadName, ThreadOwner};

/// How many looks the charts reach back.
pub const POINTS: usize = 120;

/// How many threads of one pool are shown one by one.
const ALONE: usize = 3;

#[derive(Clone, Debug)]
pub struct LiveThread {
    pub tid: i32,
    pub name: String,
    /// The package, or the library.
    pub owner: Option<String>,
    pub kind: ThreadOwner,
    pub state: char,
    pub wait: Option<String>,
    /// Percent of one CPU since the look before; nothing where there was none.
    pub cpu: Option<f64>,
    pub has_gil: bool,
}

/// Who had the GIL when somebody looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GilHolder {
    Nobody,
    Main,
    Other,
}

#[derive(Clone, Copy, Debug)]
pub struct Point {
    pub rss: Option<u64>,
    pub cpu: Option<f64>,
    pub holder: GilHolder,
}

#[derive(Debug)]
pub struct LiveSnapshot {
    pub moment: Moment,
    names: BTreeMap<i32, ThreadName>,
    pub pools: Vec<PoolSize>,
    /// Percent of one CPU since the look before, of all threads together.
    pub cpu: Option<f64>,
    /// The main thread first, then by number, so that a row never jumps.
    pub threads: Vec<LiveThread>,
    /// Of the main thread. It is asked for every other time, and stays until the cell ends.
    pub stack: Vec<StackCall>,
    pub why: Option<String>,
    pub points: VecDeque<Point>,
}

/// Threads that are alike but for their number: those of one pool.
pub struct ThreadGroup<'a> {
    pub threads: Vec<&'a LiveThread>,
}

impl LiveSnapshot {
    /// What is known when this answer has come. One `from_outside` knows neither the cell nor the names.
    pub fn after(before: Option<Self>, moment: Moment, from_outside: bool) -> Self {
        let last = before.filter(|before| {
            // The CPU time and the clock of a process never run backwards.
            from_outside
                || (moment.cpu_ns >= before.moment.cpu_ns && moment.at_ns >= before.moment.at_ns)
        });
        let mut moment = moment;
        if let Some(last) = last.as_ref().filter(|_| from_outside) {
            moment.cell = last.moment.cell;
        }
        let names = names(last.as_ref(), &mut moment, from_outside);
        let threads = threads(last.as_ref(), &moment, &names);
        let cpu = last.as_ref().and_then(|last| {
            let used = moment.cpu_ns.saturating_sub(last.moment.cpu_ns);
            percent(used, moment.at_ns.saturating_sub(last.moment.at_ns))
        });
        let is_main = |tid: i32| {
            names
                .get(&tid)
                .is_some_and(|one| one.kind == ThreadOwner::Main)
        };
        let point = Point {
            rss: moment.rss,
            cpu,
            holder: match moment.gil {
                None => GilHolder::Nobody,
                Some(tid) if is_main(tid) => GilHolder::Main,
                Some(_) => GilHolder::Other,
            },
        };
        let same_cell = |last: &&mut Self| {
            last.moment.cell.map(|cell| cell.since_ns) == moment.cell.map(|cell| cell.since_ns)
        };
        let mut last = last;
        let mut kept = last.as_mut().filter(same_cell);
        let stack = match moment.stack.take() {
            Some(stack) => telling(stack),
            None => kept
                .as_mut()
                .map(|last| std::mem::take(&mut last.stack))
                .unwrap_or_default(),
        };
        let why = moment.why.take().or_else(|| kept?.why.take());
        let mut points = last
            .as_mut()
            .map(|last| std::mem::take(&mut last.points))
            .unwrap_or_default();
        points.push_back(point);
        if points.len() > POINTS {
            points.pop_front();
        }
        let before = last.map(|last| last.pools).unwrap_or_default();
        Self {
            pools: moment.pools.take().unwrap_or(before),
            moment,
            names,
            cpu,
            threads,
            stack,
            why,
            points,
        }
    }

    /// The cell that runs, and for how many seconds it has.
    pub fn cell(&self) -> Option<(RunningCell, f64)> {
        let cell = self.moment.cell?;
        let elapsed = self.moment.at_ns.saturating_sub(cell.since_ns);
        Some((cell, elapsed as f64 / 1e9))
    }

    /// The thread that has the GIL.
    pub fn holder(&self) -> Option<&LiveThread> {
        self.threads.iter().find(|thread| thread.has_gil)
    }

    /// The threads but for the kernel's own; a pool of many is one group.
    pub fn groups(&self) -> Vec<ThreadGroup<'_>> {
        let mut groups: Vec<ThreadGroup<'_>> = Vec::new();
        let is_pool = |thread: &LiveThread| thread.kind == ThreadOwner::Pool;
        for thread in self
            .threads
            .iter()
            .filter(|one| one.kind != ThreadOwner::Kernel)
        {
            let alike = groups.iter_mut().find(|group| {
                let first = group.threads[0];
                is_pool(thread)
                    && is_pool(first)
                    && (&first.name, &first.owner) == (&thread.name, &thread.owner)
            });
            match alike {
                Some(group) => group.threads.push(thread),
                None => groups.push(ThreadGroup {
                    threads: vec![thread],
                }),
            }
        }
        groups
            .into_iter()
            .flat_map(ThreadGroup::few_alone)
            .collect()
    }

    /// The kernel's own threads.
    pub fn own(&self) -> Vec<&LiveThread> {
        let own = |thread: &&LiveThread| thread.kind == ThreadOwner::Kernel;
        self.threads.iter().filter(own).collect()
    }
}

impl<'a> ThreadGroup<'a> {
    fn few_alone(self) -> Vec<Self> {
        match self.threads.len() {
            0..=ALONE => self
                .threads
                .into_iter()
                .map(|one| Self { threads: vec![one] })
                .collect(),
            _ => vec![self],
        }
    }
}

/// The sum of what is known; nothing where nothing is.
pub fn sum<'a>(threads: impl IntoIterator<Item = &'a &'a LiveThread>) -> Option<f64> {
    threads
        .into_iter()
        .filter_map(|thread| thread.cpu)
        .reduce(|one, other| one + other)
}

fn names(
    last: Option<&LiveSnapshot>,
    moment: &mut Moment,
    from_outside: bool,
) -> BTreeMap<i32, ThreadName> {
    let known = || last.map(|last| last.names.clone()).unwrap_or_default();
    match moment.names.take() {
        None => known(),
        Some(names) if from_outside => {
            let mut names = names;
            names.extend(known());
            names
        }
        Some(names) => names,
    }
}

fn threads(
    last: Option<&LiveSnapshot>,
    moment: &Moment,
    names: &BTreeMap<i32, ThreadName>,
) -> Vec<LiveThread> {
    let before = last.into_iter().flat_map(|last| &last.moment.threads);
    let before: HashMap<i32, u64> = before.map(|row| (row.0, row.2)).collect();
    let elapsed = last.map_or(0, |last| moment.at_ns.saturating_sub(last.moment.at_ns));
    let one = |row: &diaphane_wire::monitor::ThreadMoment| {
        let tid = row.0;
        let known = names.get(&tid);
        let owner = known.and_then(|known| known.package.clone().or_else(|| known.owner.clone()));
        let used = before.get(&tid).map(|before| row.2.saturating_sub(*before));
        LiveThread {
            tid,
            name: known.map_or_else(|| tid.to_string(), |known| known.name.clone()),
            owner,
            kind: known.map(|known| known.kind).unwrap_or_default(),
            state: row.1,
            wait: row.3.clone(),
            cpu: used.and_then(|used| percent(used, elapsed)),
            has_gil: moment.gil == Some(tid),
        }
    };
    let mut threads: Vec<LiveThread> = moment.threads.iter().map(one).collect();
    threads.sort_by_key(|thread| (thread.kind != ThreadOwner::Main, thread.tid));
    threads
}

fn percent(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| 100.0 * part as f64 / whole as f64)
}

/// The functions that say something: one without a name says nothing beside another one of its library.
pub fn telling(calls: Vec<StackCall>) -> Vec<StackCall> {
    let is_beside = |one: &StackCall, other: Option<&StackCall>| {
        other.is_some_and(|other| other.kind == "native" && other.library == one.library)
    };
    let mut kept: Vec<StackCall> = Vec::new();
    let mut rest = calls.into_iter().peekable();
    while let Some(call) = rest.next() {
        let is_nameless = call.kind == "native" && call.function.is_none();
        if !is_nameless || !(is_beside(&call, rest.peek()) || is_beside(&call, kept.last())) {
            kept.push(call);
        }
    }
    kept
}
