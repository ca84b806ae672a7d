//! The diagnoses of all workers: the same ones counted, the worst first.

use std::cmp::Reverse;

use super::shared::{NAMED, Shared, some_names, who, without_numbers};
use crate::report::{Diagnosis, Severity};

/// No more are told.
pub(super) const MOST: usize = 60;
/// Of so many workers the evidence is kept, and so many lines of it are told.
const WITNESSES: usize = 3;
const LINES: usize = 8;

/// A diagnosis, and what shows it on its first workers.
pub(super) struct Found {
    diagnosis: Diagnosis,
    evidence: Vec<(usize, Vec<String>)>,
}

/// Adds those of a worker.
pub(super) fn add(all: &mut Shared<Found>, worker: usize, diagnoses: &[Diagnosis]) {
    for one in diagnoses {
        let title = without_numbers(&one.title);
        let key = format!("{}\n{}\n{title}", one.severity.word(), one.code);
        let found = all.add(worker, &key, || Found {
            diagnosis: one.clone(),
            evidence: Vec::new(),
        });
        if found.evidence.len() < WITNESSES {
            found.evidence.push((worker, one.evidence.clone()));
        }
    }
}

/// How many of a severity there are.
pub(super) fn count(all: &Shared<Found>, severity: Severity) -> usize {
    let items = all.items.iter();
    items
        .filter(|(one, _)| one.diagnosis.severity == severity)
        .count()
}

/// The worst ones first, and then those that most workers have.
pub(super) fn told(mut all: Shared<Found>, names: &[String], of: usize) -> Vec<Diagnosis> {
    all.items
        .sort_by_key(|(one, workers)| Reverse((one.diagnosis.severity, workers.len())));
    all.items.truncate(MOST);
    let told = all.items.into_iter().map(|(one, workers)| Diagnosis {
        title: format!("{}: {}", who(&workers, names, of), one.diagnosis.title),
        evidence: evidence(&one.evidence, &workers, names, of),
        ..one.diagnosis
    });
    told.collect()
}

/// The lines of the first workers, each once.
fn evidence(
    kept: &[(usize, Vec<String>)],
    workers: &[usize],
    names: &[String],
    of: usize,
) -> Vec<String> {
    let mut lines: Shared<String> = Shared::default();
    for (worker, evidence) in kept {
        for line in evidence {
            lines.add_text(*worker, line);
        }
    }
    let all = workers.len().min(kept.len());
    let tell = |(line, those): &(String, Vec<usize>)| match those.len() == all {
        true => line.clone(),
        false => format!("{}: {line}", some_names(those, names)),
    };
    let mut told: Vec<String> = lines.items.iter().take(LINES).map(tell).collect();
    let more = lines.items.len().saturating_sub(LINES);
    if more > 0 {
        told.push(format!("and {more} more lines"));
    }
    // The title counts them.
    if workers.len() > NAMED && workers.len() < of {
        told.push(format!("on {}", some_names(workers, names)));
    }
    told
}
