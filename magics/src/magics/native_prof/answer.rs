//! The answer in its first lines: which line of the cell took how much, and what it did there.

use std::collections::BTreeMap;

use diaphane_report::{Answer, Column, Diagnosis, Show, Table, rows};
use diaphane_trace::sampler::Doing;
use serde::Serialize;

use super::diagnoses::ENOUGH;
use super::kinds::CodeKind;
use super::marks::StackMarks;
use super::profile::{Profile, counted};
use super::sampled::{Id, NAMELESS, Path, SampledFunction};
use super::slow_lines::SlowCause;
use super::source::{SourceLine, grouped};
use super::summary::{Profiled, Spent};
use crate::error::Error;
use crate::libraries::names::{file_name, short};
use crate::magic::Way;

/// No more lines are shown; the others are one row.
const MOST: usize = 12;

#[rustfmt::skip]
const COLUMNS: &[Column] = &[
    Column::new("place", Show::Text, 0).titled("line").means("a line of the cell, or of another one", "the interpreter's instruction"),
    Column::new("self_pct", Show::Number, 0).titled("%").means("samples in which this line ran, with all that it called outside of cells, in per cent", "samples"),
    Column::new("source", Show::Text, 1).at_least(16).titled("code").means("what stands there", "the cell"),
    Column::new("did", Show::Text, 0).at_least(48).titled("what it did").means("the functions that ran for it, with their shares, or a common cause", "samples, the cell"),
];

/// A line of a cell, or the threads that run none.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct LineRow {
    pub place: String,
    pub line: Option<u32>,
    pub cell: Option<String>,
    pub self_pct: Option<f64>,
    pub total_pct: Option<f64>,
    pub samples: u64,
    pub source: String,
    pub did: String,
    /// Whether most of its samples wait.
    #[serde(skip)]
    pub waits: bool,
}

/// All lines that have samples, those that took most first, and what ran outside of them.
pub(crate) fn line_rows(
    profile: &Profile,
    lines: &[SourceLine],
    causes: &[SlowCause],
) -> Vec<LineRow> {
    let mut found: Vec<LineRow> = Vec::new();
    for (spot, line) in lines.iter().enumerate() {
        let spot = spot as u32;
        let own = profile.count(|path| path.spots.first() == Some(&spot));
        let total = profile.count(|path| path.spots.contains(&spot));
        let cause = causes.iter().find(|cause| cause.spot == Some(spot));
        if own == 0 && cause.is_none() {
            continue;
        }
        let did = cause.map(|cause| cause.did.clone());
        found.push(LineRow {
            place: line.place(),
            line: Some(line.number),
            cell: line.cell.clone(),
            self_pct: profile.share(own),
            total_pct: profile.share(total),
            samples: own,
            source: line.text.clone(),
            did: did
                .unwrap_or_else(|| did_there(profile, |path| path.spots.first() == Some(&spot))),
            waits: mostly_waits(profile, |path| path.spots.first() == Some(&spot)),
        });
    }
    found.sort_by_key(|row| u64::MAX - row.samples);
    found.extend(outside(profile));
    found
}

/// Threads without a line of a cell, by their names.
fn outside(profile: &Profile) -> Vec<LineRow> {
    let mut names: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for (tid, name) in &profile.threads {
        names.entry(name).or_default().push(*tid);
    }
    let row = |(name, tids): (&str, Vec<i32>)| {
        let is_it = |path: &Path| path.spots.is_empty() && tids.contains(&path.tid);
        let samples = profile.count(is_it);
        (samples > 0).then(|| LineRow {
            place: "-".into(),
            line: None,
            cell: None,
            self_pct: profile.share(samples),
            total_pct: profile.share(samples),
            samples,
            source: match tids.len() {
                _ if tids.contains(&profile.main) => "(line not known)".to_owned(),
                1 => format!("(thread {name})"),
                many if name.is_empty() => format!("({many} threads without a name)"),
                many => format!("({many} threads {name})"),
            },
            did: did_there(profile, is_it),
            waits: mostly_waits(profile, is_it),
        })
    };
    let mut rows: Vec<LineRow> = names.into_iter().filter_map(row).collect();
    rows.sort_by_key(|row| u64::MAX - row.samples);
    rows
}

fn mostly_waits(profile: &Profile, holds: impl Fn(&Path) -> bool) -> bool {
    let waits = profile.count(|path| holds(path) && path.doing == Doing::Waiting);
    waits * 2 > profile.count(holds)
}

/// What some samples did, in a few words: what they called, or what they waited for.
fn did_there(profile: &Profile, holds: impl Fn(&Path) -> bool) -> String {
    let all = profile.count(&holds);
    let waits = |path: &Path| path.doing == Doing::Waiting;
    if mostly_waits(profile, &holds) {
        let has = |mark: StackMarks| {
            profile.count(|path| holds(path) && waits(path) && path.marks.has(mark)) * 2 > all
        };
        return match () {
            () if has(StackMarks::CHILD) => "waits for a child process",
            () if has(StackMarks::TIME) => "sleeps",
            () if has(StackMarks::NETWORK) => "waits for the network",
            () if has(StackMarks::LOCK) => "waits for another thread",
            () if has(StackMarks::DESCRIPTOR) => "waits for another process or the network",
            () if has(StackMarks::FILE) => "waits for a file",
            () => "waits",
        }
        .to_owned();
    }
    let mut calls: BTreeMap<Option<Id>, u64> = BTreeMap::new();
    for (path, count) in profile.paths.iter().filter(|(path, _)| holds(path)) {
        // By which function of the C library it waits for the GIL is nothing to the line.
        let is_innermost = path.spots.is_empty() || path.doing == Doing::WaitingForGil;
        let call = match is_innermost {
            true => path.calls.last().copied(),
            false => path.below,
        };
        *calls.entry(call).or_default() += count;
    }
    let mut calls: Vec<(Option<Id>, u64)> = calls.into_iter().collect();
    calls.sort_by_key(|(_, count)| u64::MAX - count);
    let told = calls.iter().filter(|(_, count)| count * 5 >= all).take(2);
    let told: Vec<String> = told
        .map(|(call, count)| {
            let what = call.map_or("Python itself".into(), |id| described(profile.function(id)));
            match count * 10 >= all * 9 || all < ENOUGH {
                true => what,
                false => format!("{what} {:.0} %", 100.0 * *count as f64 / all as f64),
            }
        })
        .collect();
    match told.is_empty() {
        true => "many things".into(),
        false => told.join(", "),
    }
}

/// A function with the package or library that it belongs to.
fn described(function: &SampledFunction) -> String {
    let home = match (&function.library, &function.file) {
        (Some(_), _) if function.name.ends_with(NAMELESS) => return function.name.clone(),
        (Some(library), _) => short(library).to_owned(),
        (None, Some(file)) if file.starts_with("<frozen importlib") => return "imports".into(),
        (None, Some(file)) => package(file).to_owned(),
        (None, None) if function.kind == CodeKind::GilWait => return "waits for the GIL".into(),
        (None, None) => return function.name.trim_matches(['(', ')']).to_owned(),
    };
    format!("{} ({home})", function.name)
}

/// The package that a file of Python belongs to, or its own name.
fn package(file: &str) -> &str {
    let inside = file.split_once("-packages/").map(|(_, inside)| inside);
    match inside.and_then(|inside| inside.split_once('/')) {
        Some((package, _)) => package,
        None => file_name(file),
    }
}

/// What the report says first.
pub(crate) fn answer(
    profile: &Profile,
    (spent, what): (&Spent, Profiled),
    lines: &[LineRow],
    found: &[Diagnosis],
) -> Result<Answer, Error> {
    // Whatever the cell does besides was done so often, too.
    let runs = (spent.runs > 1).then(|| {
        let runs = grouped(spent.runs as usize);
        format!("For enough samples it ran {runs} times.")
    });
    if profile.samples < ENOUGH {
        return Ok(Answer {
            sentences: runs
                .into_iter()
                .chain([too_short(profile, spent, what)])
                .collect(),
            table: None,
        });
    }
    let first = found
        .first()
        .map(|one| one.title.clone())
        .or_else(|| most(lines));
    let rest = lines.len().saturating_sub(MOST);
    let title = match rest {
        0 => "Where the time went, by line".to_owned(),
        _ => format!("Where the time went, by line; {rest} more in .facts or --json"),
    };
    Ok(Answer {
        sentences: first.into_iter().chain(runs).collect(),
        table: Some(Table {
            title,
            columns: COLUMNS,
            rows: rows(lines.iter().take(MOST))?,
            shown: MOST,
        }),
    })
}

/// Which line took most; where that waits, or has less than threads beside it, these are what took the time.
fn most(lines: &[LineRow]) -> Option<String> {
    let line = lines.first().filter(|one| one.line.is_some())?;
    let (place, share) = (&line.place, line.self_pct?);
    let beside = lines.iter().filter(|one| one.line.is_none() && !one.waits);
    let worker = beside.max_by_key(|one| one.samples);
    let worked = worker.and_then(|worker| {
        let who = worker.source.trim_matches(['(', ')']);
        Some((who, worker.self_pct?, &worker.did, worker.samples))
    });
    Some(match worked {
        Some((who, part, did, _)) if line.waits => {
            format!(
                "{place} waited while other threads worked: {who} took {part} % of the samples: {did}."
            )
        }
        Some((who, part, did, samples)) if samples > line.samples => {
            format!(
                "{who} took most, {part} % of the samples: {did}; of the lines {place} did, {share} %."
            )
        }
        _ => format!("{place} took most, {share} % of the samples: {}.", line.did),
    })
}

fn too_short(profile: &Profile, spent: &Spent, what: Profiled) -> String {
    let samples = match profile.samples {
        0 => "no sample".to_owned(),
        some => counted(some),
    };
    let instead = match (what, spent.failed, spent.runs) {
        (Profiled::Rest, ..) => " Above a cell, %%native_prof looks from its beginning.",
        (Profiled::Code(Way::Block), ..) => " Record a loop that does it again and again.",
        (_, true, _) => " It ended with an error.",
        (_, _, 1) => " %%native_prof --repeat runs it until there are enough.",
        _ => "",
    };
    format!("Too short to tell: {samples}, and shares need {ENOUGH} at least.{instead}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_told_with_its_package() {
        assert_eq!(
            package("/v/lib/python3.11/site-packages/pandas/core/frame.py"),
            "pandas"
        );
        assert_eq!(
            package("/usr/lib/python3/dist-packages/numpy/a.py"),
            "numpy"
        );
        assert_eq!(package("/usr/lib/python3.11/json/decoder.py"), "decoder.py");
    }
}
