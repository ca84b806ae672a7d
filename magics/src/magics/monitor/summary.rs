//! What is left when nothing is shown any more: how CPUs, memory and the GIL were used over time, and by whom.

use std::time::Duration;

use diaphane_report::view::blocks::blocks;
use diaphane_report::view::{bytes, time};
use diaphane_report::{Answer, Report, Row, Table, fields, rows};
use serde::Serialize;
use serde_json::json;

use super::chart;
use super::columns::{COLUMNS, FUNCTIONS};
use super::picture::scale;
use super::record::{MonitoredThread, Point, Record, spans};
use crate::error::Error;
use crate::magic::{Magic, Way};
use crate::stacks::main_stack::ToldCall;

/// How many pieces the time of a thread has, and of the whole.
const PIECES: usize = 60;
/// From so many nanoseconds on the use of CPUs says something.
const SHORTEST: u64 = 50_000_000;
const POINTS: usize = 120;
/// Of more threads their use over time would fill a notebook.
const IN_PIECES: usize = 32;
/// Of fewer looks, a share says nothing.
const ENOUGH: u64 = 10;
/// How many letters the time has in a text, and how many functions are listed.
const LETTERS: usize = 24;
const WIDE: usize = 60;
const LISTED: usize = 12;

/// What was watched.
#[derive(Clone, Copy)]
pub(super) enum Watched {
    /// A cell or a block.
    Code(Way),
    /// The process, for some time; whether that was the whole time.
    Line { ended: bool },
}

#[derive(Serialize)]
struct MonitorRow {
    tid: i32,
    name: String,
    kind: Option<&'static str>,
    owner: Option<String>,
    package: Option<String>,
    cpu_ns: u64,
    cpu_pct: f64,
    gil_pct: Option<f64>,
    first_ns: u64,
    last_ns: u64,
    over_time: String,
    cpu_over_time: Option<Vec<f64>>,
}

#[derive(Serialize)]
struct FunctionRow<'a> {
    #[serde(flatten)]
    call: &'a ToldCall,
    samples: u64,
    pct: f64,
}

/// The report of a recording.
pub(super) fn report(
    record: &Record,
    watched: Watched,
    elapsed: Duration,
    limits: Vec<String>,
) -> Result<Report, Error> {
    let threads = busy(record);
    let points = record.fewer(POINTS);
    let functions = functions(record)?;
    let listed = Table {
        title: format!(
            "functions: {} samples of its thread, one each 0.5 s, so this is coarse",
            record.samples
        ),
        columns: FUNCTIONS,
        rows: functions.iter().take(LISTED).cloned().collect(),
        shown: 5,
    };
    let has_time = points.len() > 1;
    Ok(Report {
        name: super::MonitorMagic::NAME,
        columns: COLUMNS,
        rows: rows(thread_rows(record, &threads))?,
        answer: Some(Answer {
            sentences: sentences(record, watched, elapsed),
            table: None,
        }),
        tables: if functions.is_empty() {
            Vec::new()
        } else {
            vec![listed]
        },
        chart: has_time.then(|| chart::drawing(record, &threads)),
        listing: if has_time { lines(record) } else { Vec::new() },
        draws_chart: true,
        facts: fields(json!({
            "elapsed_ns": elapsed.as_nanos() as u64,
            "looks": record.looks,
            "interrupted": match watched {
                Watched::Line { ended } => Some(!ended),
                Watched::Code(_) => None,
            },
            "usable_cpus": record.usable_cpus,
            "cpu_ns": record.cpu_ns,
            "own_cpu_ns": own(record),
            "cpus_used": rounded(used(record), 100.0),
            "cpus_most": rounded(most_used(record), 100.0),
            "rss": record.rss,
            "gil": holders(record),
            "samples": record.samples,
            "functions": functions,
            "over_time": spans(&points).map(point).collect::<Vec<_>>(),
        }))?,
        limits,
        ..Report::default()
    })
}

/// The threads that used a CPU or had the GIL, but for the kernel's own; who used most comes first.
fn busy(record: &Record) -> Vec<&MonitoredThread> {
    let least = record.elapsed_ns() / 1000;
    let works = |one: &&MonitoredThread| one.cpu_ns > least || one.holds > 0;
    let all = record
        .threads
        .values()
        .filter(|one| !record.is_own(one.tid));
    let mut busy: Vec<_> = all.filter(works).collect();
    busy.sort_by_key(|one| u64::MAX - one.cpu_ns);
    busy
}

fn thread_rows(record: &Record, threads: &[&MonitoredThread]) -> Vec<MonitorRow> {
    let pieces = record.fewer(PIECES);
    let whole = record.elapsed_ns().max(1) as f64;
    let row = |(place, one): (usize, &&MonitoredThread)| {
        let share = |(point, lasted): (&Point, u64)| {
            rounded(100.0 * point.used_by(one.tid) as f64 / lasted as f64, 10.0)
        };
        let over_time: Vec<f64> = spans(&pieces).map(share).collect();
        MonitorRow {
            tid: one.tid,
            name: record.name_of(one.tid),
            kind: Some(one.called.kind).filter(|kind| !kind.is_empty()),
            owner: one.called.owner.clone(),
            package: one.called.package.clone(),
            cpu_ns: one.cpu_ns,
            cpu_pct: rounded(100.0 * one.cpu_ns as f64 / whole, 10.0),
            gil_pct: percent(one.holds, record.looks),
            first_ns: one.first_ns,
            last_ns: one.last_ns,
            over_time: blocks(&over_time, 100.0, LETTERS),
            cpu_over_time: (place < IN_PIECES).then_some(over_time),
        }
    };
    threads.iter().enumerate().map(row).collect()
}

fn functions(record: &Record) -> Result<Vec<Row>, Error> {
    let mut all: Vec<(&ToldCall, u64)> = record
        .functions
        .iter()
        .map(|(one, count)| (one, *count))
        .collect();
    all.sort_by(|(left, more), (right, less)| {
        less.cmp(more)
            .then_with(|| left.function.cmp(&right.function))
    });
    let row = |(call, samples): (_, u64)| FunctionRow {
        call,
        samples,
        pct: rounded(100.0 * samples as f64 / record.samples.max(1) as f64, 10.0),
    };
    Ok(rows(all.into_iter().map(row))?)
}

fn holders(record: &Record) -> Vec<serde_json::Value> {
    let held: u64 = record.threads.values().map(|one| one.holds).sum();
    let told = |tid: Option<i32>, looks: u64| {
        let name = tid.map(|tid| record.name_of(tid));
        json!({"tid": tid, "name": name, "looks": looks, "pct": percent(looks, record.looks)})
    };
    let mut holders: Vec<&MonitoredThread> = record
        .threads
        .values()
        .filter(|one| one.holds > 0)
        .collect();
    holders.sort_by_key(|one| u64::MAX - one.holds);
    let some = holders
        .iter()
        .take(IN_PIECES)
        .map(|one| told(Some(one.tid), one.holds));
    some.chain([told(None, record.looks.saturating_sub(held))])
        .collect()
}

fn point((point, lasted): (&Point, u64)) -> serde_json::Value {
    json!({
        "end_ns": point.end_ns,
        "rss": point.rss,
        "cpu_pct": rounded(100.0 * point.cpu_ns as f64 / lasted as f64, 10.0),
        "gil": point.usual_holder(),
    })
}

fn sentences(record: &Record, watched: Watched, elapsed: Duration) -> Vec<String> {
    let lasted = time(elapsed.as_nanos() as f64);
    let what = match watched {
        Watched::Code(Way::Module { .. }) => format!("The cell ran for {lasted}"),
        Watched::Code(Way::Block | Way::Process) => format!("The block ran for {lasted}"),
        Watched::Line { ended: true } => format!("The process was watched for {lasted}"),
        Watched::Line { ended: false } => {
            format!("The process was watched for {lasted}, until an interrupt")
        }
    };
    let usable = record
        .usable_cpus
        .map_or_else(String::new, |usable| format!(" of {usable}"));
    let told = |rss: Option<u64>| bytes(rss.unwrap_or(0) as f64);
    let rss = &record.rss;
    let memory = format!(
        "; memory went from {} to {}, {} at most",
        told(rss.first),
        told(rss.last),
        told(rss.most)
    );
    let memory = if rss.last.is_some() { &memory } else { "" };
    // Of less than a look nobody can tell.
    let first = match record.elapsed_ns() < SHORTEST {
        true => format!("{what}, too short to tell how many CPUs it used{memory}."),
        false => format!(
            "{what}: {:.1}{usable} CPUs on average, {:.1} at most{memory}.",
            used(record),
            most_used(record)
        ),
    };
    std::iter::once(first)
        .chain(gil(record))
        .chain(top(record))
        .collect()
}

/// Who had the GIL mostly.
fn gil(record: &Record) -> Option<String> {
    let holder = record.threads.values().max_by_key(|one| one.holds)?;
    let pct = percent(holder.holds, record.looks).filter(|pct| *pct > 0.0)?;
    Some(format!(
        "{} had the GIL at {pct:.0} % of {} looks.",
        record.name_of(holder.tid),
        record.looks
    ))
}

/// What was seen most often.
fn top(record: &Record) -> Option<String> {
    let (call, count) = record.functions.iter().max_by_key(|(_, count)| **count)?;
    let name = call.function.as_deref()?;
    let of = call
        .library
        .as_ref()
        .map(|library| format!(" of {library}"));
    let at = call.place.as_ref().map(|place| format!(" at {place}"));
    let at: String = of.into_iter().chain(at).collect();
    Some(format!(
        "Of {} samples of the watched thread, one each 0.5 s, {count} were in {name}{at}.",
        record.samples
    ))
}

/// CPUs, memory and the GIL over time, as a text.
fn lines(record: &Record) -> Vec<String> {
    let points = record.fewer(WIDE);
    let most = record.usable_cpus.unwrap_or(1) as f64;
    let cpu: Vec<f64> = spans(&points)
        .map(|(one, lasted)| one.cpu_ns as f64 / lasted as f64)
        .collect();
    let (least, largest) = scale(record);
    let memory = points
        .iter()
        .map(|one| one.rss.map_or(f64::NAN, |rss| rss as f64 - least));
    let memory: Vec<f64> = memory.collect();
    let main = busy(record)
        .iter()
        .max_by_key(|one| one.holds)
        .map(|one| one.tid);
    let letter = |one: &Point| match one.usual_holder() {
        None => ' ',
        holder if holder == main => '█',
        Some(_) => '▒',
    };
    let gil: String = points.iter().map(letter).collect();
    let holder = main.map_or_else(String::new, |tid| record.name_of(tid));
    vec![
        format!("CPU     {}", blocks(&cpu, most, WIDE)),
        format!("        0 to {:.0} %", most * 100.0),
        format!("memory  {}", blocks(&memory, largest - least, WIDE)),
        format!("        {} to {}", bytes(least), bytes(largest)),
        format!("GIL     {gil}"),
        format!("        █ {holder}, ▒ others"),
    ]
}

/// How many CPUs were used on average.
fn used(record: &Record) -> f64 {
    record.cpu_ns as f64 / record.elapsed_ns().max(1) as f64
}

/// How many were used at most.
fn most_used(record: &Record) -> f64 {
    let share = |(point, lasted): (&Point, u64)| point.cpu_ns as f64 / lasted as f64;
    spans(&record.points).map(share).fold(0.0, f64::max)
}

/// What the kernel's own threads used.
fn own(record: &Record) -> u64 {
    let own = record.threads.values().filter(|one| record.is_own(one.tid));
    own.map(|one| one.cpu_ns).sum()
}

fn percent(part: u64, looks: u64) -> Option<f64> {
    (looks >= ENOUGH).then(|| rounded(100.0 * part as f64 / looks as f64, 10.0))
}

fn rounded(number: f64, parts: f64) -> f64 {
    (number * parts).round() / parts
}
