//! The picture of this moment, from what was seen since the one before.

use std::collections::HashMap;
use std::time::Duration;

use diaphane_report::view::live::{Follows, Gauge, LivePicture, THREADS, ThreadBar};
use diaphane_report::view::{bytes, time};

use super::record::{MonitoredThread, Point, Record, spans};
use crate::libraries::names::short;

/// How many places the lines over time have.
const PLACES: usize = 120;
/// A picture without a follower for so many times its time is the last one, at least after so many seconds.
const TIMES: u32 = 6;
const LEAST: Duration = Duration::from_secs(6);
/// What stays where the process ends.
const ENDED: &str = "the kernel has ended";

/// Makes the pictures of a recording.
pub(super) struct Pictures {
    /// What is watched.
    pub subject: String,
    /// The thread whose work it is.
    pub tid: i32,
    pub every: Duration,
    before: Sums,
}

/// What was used when the last picture was made.
#[derive(Default)]
struct Sums {
    at_ns: u64,
    cpu_ns: u64,
    threads: HashMap<i32, u64>,
}

impl Pictures {
    pub fn new(subject: String, tid: i32, every: Duration) -> Self {
        Self {
            subject,
            tid,
            every,
            before: Sums::default(),
        }
    }

    /// The next one, and what stays of it if the process ends.
    pub fn next(&mut self, record: &Record) -> (String, String) {
        let now = Sums::of(record);
        let picture = self.picture(record, &now);
        self.before = now;
        let patience = LEAST.max(self.every * TIMES);
        let html = |follows| picture.html(follows);
        (
            html(Follows::Within(patience)),
            html(Follows::NoMore(ENDED)),
        )
    }

    fn picture(&self, record: &Record, now: &Sums) -> LivePicture {
        let passed = now.at_ns.saturating_sub(self.before.at_ns).max(1) as f64;
        let share = |tid: i32| {
            let used = |sums: &Sums| sums.threads.get(&tid).copied().unwrap_or(0);
            used(now).saturating_sub(used(&self.before)) as f64 / passed
        };
        let is_there = |one: &&MonitoredThread| one.last_ns == now.at_ns;
        let (own, mut others): (Vec<_>, Vec<_>) = record
            .threads
            .values()
            .filter(is_there)
            .partition(|one| record.is_own(one.tid));
        // Sums change slowly, so the rows stay where they are.
        others.sort_by_key(|one| (one.tid != self.tid, u64::MAX - one.cpu_ns));
        let (shown, more) = others.split_at(others.len().min(THREADS));
        let sum = |some: &[&MonitoredThread]| some.iter().map(|one| share(one.tid)).sum::<f64>();
        let cpu = now.cpu_ns.saturating_sub(self.before.cpu_ns) as f64 / passed;
        let points = record.fewer(PLACES);
        LivePicture {
            title: format!("{} for {}", self.subject, time(now.at_ns as f64)),
            gil: record.holder.map(|tid| record.name_of(tid)),
            sentence: record.sentence.clone().unwrap_or_default(),
            gauges: [
                cpu_gauge(record, &points, cpu),
                memory_gauge(record, &points),
            ],
            threads: shown
                .iter()
                .map(|one| bar(record, one, share(one.tid)))
                .collect(),
            rest: rest(more.len(), sum(more), sum(&own)),
        }
    }
}

impl Sums {
    fn of(record: &Record) -> Self {
        Self {
            at_ns: record.elapsed_ns(),
            cpu_ns: record.cpu_ns,
            threads: record
                .threads
                .values()
                .map(|one| (one.tid, one.cpu_ns))
                .collect(),
        }
    }
}

/// What is said of the threads without a row.
fn rest(more: usize, used: f64, own: f64) -> String {
    let others = match more {
        0 => String::new(),
        1 => format!("1 more thread: {:.0} %; ", used * 100.0),
        _ => format!("{more} more threads: {:.0} %; ", used * 100.0),
    };
    format!("{others}the kernel's own threads: {:.0} %", own * 100.0)
}

fn bar(record: &Record, thread: &MonitoredThread, share: f64) -> ThreadBar {
    let library = thread.called.owner.as_deref().map(short);
    let owner = thread.called.package.as_deref().or(library);
    ThreadBar {
        name: record.name_of(thread.tid),
        owner: owner.unwrap_or_default().to_owned(),
        share,
        has_gil: record.holder == Some(thread.tid),
    }
}

fn cpu_gauge(record: &Record, points: &[Point], now: f64) -> Gauge {
    let most = record.usable_cpus.unwrap_or(1) as f64;
    let share = |(point, lasted): (&Point, u64)| point.cpu_ns as f64 / lasted as f64 / most;
    Gauge {
        name: "CPU",
        now: format!("{:.0} %", now * 100.0),
        scale: format!("of {:.0} %", most * 100.0),
        line: spans(points).map(share).collect(),
    }
}

fn memory_gauge(record: &Record, points: &[Point]) -> Gauge {
    let (least, most) = scale(record);
    let share = |point: &Point| (point.rss.unwrap_or(0) as f64 - least) / (most - least);
    let told = |rss: Option<u64>| rss.map_or("?".to_owned(), |rss| bytes(rss as f64));
    Gauge {
        name: "Memory",
        now: told(record.rss.last),
        scale: format!("{} to {}", bytes(least), bytes(most)),
        line: points.iter().map(share).collect(),
    }
}

/// Between which sizes memory is drawn: small changes of much memory are not to look like large ones.
pub(super) fn scale(record: &Record) -> (f64, f64) {
    let most = record.rss.most.unwrap_or(1) as f64;
    let least = record.rss.least.unwrap_or(0) as f64;
    (least.min(most * 0.8), most.max(1.0))
}
