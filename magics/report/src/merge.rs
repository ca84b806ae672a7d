//! One report of many processes' reports: what is alike in them is there once, and what differs names its worker.
//!
//! Reports are added one after the other, so that all of them need never be there at once.

mod differences;
mod fold;
mod found;
mod lanes;
mod shared;

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::column::{Column, Rows};
use crate::error::Error;
use crate::report::{Answer, Report, Severity, Table, fields};
use crate::row::Row;
use crate::schema::Schema;
use crate::stored::known;
use differences::Settings;
use fold::Fold;
use found::Found;
use lanes::Lanes;
use shared::{Shared, some_names, who};

/// What the name of a merged report ends with.
const SUFFIX: &str = "_merged";
/// How many rows the views show, how many listings, and how many lines of one.
const SHOWN: usize = 60;
const LISTINGS: usize = 4;
const LINES: usize = 40;
/// How many limits are told, and how many answers in words.
const LIMITS: usize = 20;
const SENTENCES: usize = 6;

/// Reports of many workers on their way to one.
#[derive(Default)]
pub struct Merger {
    workers: Vec<String>,
    /// Who has no report, and why.
    silent: Shared<String>,
    folds: Vec<Fold>,
    settings: Settings,
    found: Shared<Found>,
    limits: Shared<String>,
    sentences: Shared<String>,
    listings: Shared<String>,
    lanes: Lanes,
    took: Duration,
}

impl Merger {
    /// Adds a worker by its name, with its report or the reason why there is none.
    pub fn add(&mut self, worker: &str, answer: Result<&Report, &str>) {
        let index = self.workers.len();
        self.workers.push(worker.to_owned());
        match answer {
            Ok(report) if report.name.ends_with(SUFFIX) || report.name == MIXED => {
                self.silent.add_text(
                    index,
                    "its report is merged already: merge those that it was made of",
                );
            }
            Ok(report) => self.add_report(index, report),
            Err(why) => self.silent.add_text(index, why),
        }
    }

    fn add_report(&mut self, worker: usize, report: &Report) {
        let place = self.folds.iter().position(|fold| fold.name == report.name);
        let place = place.unwrap_or_else(|| {
            self.folds.push(Fold::of(report));
            self.folds.len() - 1
        });
        self.folds[place].add(worker, report);
        self.settings.add(worker, report);
        self.lanes.add(worker, report);
        found::add(&mut self.found, worker, &report.diagnoses);
        for limit in &report.limits {
            self.limits.add_text(worker, limit);
        }
        for sentence in report.answer.iter().flat_map(|answer| &answer.sentences) {
            self.sentences.add_text(worker, sentence);
        }
        if report.columns.is_empty() && !report.listing.is_empty() {
            self.listings.add_text(worker, &report.listing.join("\n"));
        }
        self.took = self.took.max(report.took);
    }

    /// The one report of all.
    ///
    /// # Errors
    /// When nothing was added.
    pub fn finish(mut self) -> Result<Report, Error> {
        if self.workers.is_empty() {
            return Err(Error::Usage(
                "there is no report to merge: give at least one, as {worker: report}".into(),
            ));
        }
        let silent: usize = self.silent.items.iter().map(|(_, who)| who.len()).sum();
        let answered = self.workers.len() - silent;
        let (differences, count) = self.settings.differences(&self.workers);
        let (rows, columns, tables) = self.rows();
        let mut report = Report {
            name: self.name(),
            answer: Some(Answer {
                sentences: self.sentences(answered, count),
                table: differences::table(&differences)?,
            }),
            columns,
            tree: self.folds.len() == 1 && self.folds[0].tree,
            rows,
            tables,
            facts: self.facts(answered, differences)?,
            listing: self.listing(answered),
            summary: self.summary(),
            limits: self.told_limits(answered),
            host: Some(self.settings.host()),
            shown: SHOWN,
            took: self.took,
            chart: self.lanes.draw(&self.workers),
            ..Report::default()
        };
        report.diagnoses = found::told(self.found, &self.workers, answered);
        Ok(report)
    }

    fn name(&self) -> &'static str {
        match self.folds.as_slice() {
            [one] => known(&format!("{}{SUFFIX}", one.name)),
            _ => MIXED,
        }
    }

    /// The rows of all magics; where there are several, each has a table of its own.
    fn rows(&self) -> (Vec<Row>, &'static [Column], Vec<Table>) {
        if let [one] = self.folds.as_slice() {
            return (one.rows(&self.workers), one.columns(), Vec::new());
        }
        let (mut rows, mut tables) = (Vec::new(), Vec::new());
        for fold in &self.folds {
            let own = fold.rows(&self.workers);
            rows.extend(own.iter().cloned().map(|row| row.with("magic", fold.name)));
            let columns = fold.columns();
            if !columns.is_empty() {
                tables.push(Table {
                    title: format!("{} of {}", fold.name, fold.answered),
                    columns,
                    rows: own,
                    shown: SHOWN,
                });
            }
        }
        (rows, &[], tables)
    }

    /// Who answered, what differs, and what the workers' own reports answer in words.
    fn sentences(&self, answered: usize, differences: usize) -> Vec<String> {
        let all = self.workers.len();
        let silent = self.silent.items.iter().flat_map(|(_, who)| who).copied();
        let mut silent: Vec<usize> = silent.collect();
        silent.sort_unstable();
        let mut sentences = vec![match (answered, all) {
            (0, _) => format!("None of {all} workers has a report."),
            (1, 1) => "One worker, which has a report.".to_owned(),
            _ if answered == all => format!("All {all} workers have a report."),
            _ => format!(
                "{answered} of {all} workers have a report; {} has none.",
                some_names(&silent, &self.workers)
            ),
        }];
        if self.settings.is_known() && answered > 1 {
            sentences.push(match differences {
                0 => "They are set up alike: libraries, thread pools and CPUs.".to_owned(),
                1 => "They are set up alike but for one thing.".to_owned(),
                count => format!("They are set up alike but for {count} things."),
            });
        }
        let told = self.sentences.told(&self.workers, answered, SENTENCES);
        sentences.extend(told);
        sentences
    }

    fn summary(&self) -> Vec<String> {
        let severities = [Severity::Error, Severity::Warn, Severity::Info].into_iter();
        let counts = severities.map(|one| (found::count(&self.found, one), one.word()));
        let counts: Vec<String> = counts
            .filter(|(count, _)| *count > 0)
            .map(|(count, word)| format!("{count} {word}"))
            .collect();
        match counts.is_empty() {
            true => Vec::new(),
            false => vec![format!(
                "found: {}; %diaphane CODE shows the page of a finding",
                counts.join(", ")
            )],
        }
    }

    fn facts(&self, answered: usize, differences: Vec<Value>) -> Result<Map<String, Value>, Error> {
        let mut facts = match self.folds.as_slice() {
            [one] => one.facts.clone(),
            _ => Map::new(),
        };
        let silent = self.silent.items.iter().flat_map(|(why, who)| {
            let names = who.iter().map(|index| self.workers[*index].clone());
            names.map(|name| (name, Value::from(why.as_str())))
        });
        let silent: Map<String, Value> = silent.collect();
        facts.extend(fields(json!({
            "workers": self.workers.len(), "answered": answered, "silent": silent, "differences": differences,
        }))?);
        Ok(facts)
    }

    /// The listings of the workers, which have no table.
    fn listing(&self, answered: usize) -> Vec<String> {
        let mut lines = Vec::new();
        for (listing, workers) in self.listings.items.iter().take(LISTINGS) {
            lines.push(format!("{}:", who(workers, &self.workers, answered)));
            let own = listing.lines();
            lines.extend(own.take(LINES).map(|line| format!("  {line}")));
        }
        let more = self.listings.items.len().saturating_sub(LISTINGS);
        if more > 0 {
            lines.push(format!(
                "and {more} more that differ; the rows have all of them"
            ));
        }
        lines
    }

    /// Who has no report, and what the others do not know.
    fn told_limits(&self, answered: usize) -> Vec<String> {
        let silent = self.silent.items.iter().take(LIMITS);
        let mut limits: Vec<String> = silent
            .map(|(why, workers)| format!("{}: {why}", some_names(workers, &self.workers)))
            .collect();
        let more = self.silent.items.len().saturating_sub(LIMITS);
        if more > 0 {
            limits.push(format!("and {more} more reasons, in the report's facts"));
        }
        limits.extend(self.limits.told(&self.workers, answered, LIMITS));
        let more = self.found.items.len().saturating_sub(found::MOST);
        if more > 0 {
            limits.push(format!("{more} more diagnoses are not shown"));
        }
        limits
    }
}

/// The name of a report that was made of several magics' reports.
const MIXED: &str = "merged";

impl Report {
    /// Gives a report whose JSON does not say how it is shown the columns of its magic.
    pub fn dress(&mut self, schema: &Schema) {
        let Some(first) = self.rows.first().filter(|_| self.columns.is_empty()) else {
            return;
        };
        let has = |rows: &Rows| {
            let columns = rows.columns.iter();
            columns.filter(|one| first.get(one.key).is_some()).count() * 100
                / rows.columns.len().max(1)
        };
        let best = schema.rows.iter().rev().max_by_key(|rows| has(rows));
        self.columns = best.map_or(&[], |rows| rows.columns);
        self.tree = first.get("id").is_some() && first.get("parent").is_some();
    }
}

#[cfg(test)]
#[path = "merge/tests.rs"]
mod tests;
