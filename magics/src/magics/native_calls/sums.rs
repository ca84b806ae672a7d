//! Sums over a recording: by function, by library, by part of the way; and what is said about the recording itself.

use std::collections::BTreeMap;

use diaphane_trace::event::Log;
use diaphane_trace::memory_budget;
use serde_json::json;

use super::code::Part;
use super::costs::{Costs, last_time};
use super::record::Recorded;
use super::rows::{DEEPEST, MOST_ROWS, Writer};
use super::tree::{CallNode, NodeKind};
use crate::error::Error;
use diaphane_report::view::{bytes, time};
use diaphane_report::{Bar, Part as BarPart};
use diaphane_report::{Table, rows};

/// So many rows of the further tables are shown as text.
const SHOWN: usize = 5;
/// So many functions are in the table of them.
const MOST_FUNCTIONS: usize = 1000;

/// What is known of one function, over all places and threads: its calls, and its own time.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Sum {
    pub calls: u64,
    pub own: u64,
}

/// Sums over all threads, in nanoseconds.
#[derive(Debug, Default)]
pub(super) struct Sums {
    /// By name and library.
    functions: BTreeMap<(String, String), Sum>,
    parts: BTreeMap<Part, u64>,
}

impl Writer<'_, '_> {
    /// Adds a node to the sums. Showing the last value is not what the cell is about.
    pub(super) fn count(&mut self, node: &CallNode) {
        if node.kind != NodeKind::Display {
            let sum = self.kinds.entry(node.kind).or_default();
            sum.calls += node.calls;
            sum.own += node.own;
        }
    }

    /// The sums by function and library, and by part of the way.
    pub(super) fn sums(&mut self) -> Result<Sums, Error> {
        let mut sums = Sums::default();
        for (kind, sum) in std::mem::take(&mut self.kinds) {
            let label = self.label(kind)?;
            let own = self.nanoseconds(sum.own);
            *sums.parts.entry(label.part.clone()).or_default() += own;
            if !matches!(kind, NodeKind::Place(_) | NodeKind::Cell) {
                let key = (label.func.clone(), label.lib.clone().unwrap_or_default());
                let all = sums.functions.entry(key).or_default();
                all.calls += sum.calls;
                all.own += own;
            }
        }
        Ok(sums)
    }

    /// From where on a thread's events were only counted.
    pub(super) fn full(&self, log: &Log) -> String {
        let last = last_time(log).saturating_sub(self.recorded.recording.started);
        let why = if self.limit.is_none_or(|limit| log.events.len() < limit) {
            format!(
                "recordings of all threads together may take {}",
                bytes(memory_budget() as f64)
            )
        } else {
            format!("--limit gives room for {}", log.events.len())
        };
        format!(
            "thread {}: from {} after the beginning on, {} events were only counted, because {why}",
            log.tid,
            time(self.nanoseconds(last) as f64),
            log.lost,
        )
    }

    /// That rows are missing, unless that was asked for.
    pub(super) fn too_deep(&self) -> Option<String> {
        (self.depth == DEEPEST && self.is_cut).then(|| {
            format!("what is nested deeper than {DEEPEST} levels has no rows, but counts in all sums; --depth shows it")
        })
    }

    /// That only the heaviest places have rows.
    pub(super) fn too_many(&self) -> Option<String> {
        (self.left_out > 0).then(|| {
            format!(
                "the {MOST_ROWS} places of a thread's tree that took longest have rows; {} others have none, but count in all sums; --depth shows them",
                self.left_out
            )
        })
    }
}

impl Sums {
    /// The further tables.
    pub(super) fn tables(&self) -> Result<Vec<Table>, Error> {
        let mut functions: Vec<_> = self.functions.iter().collect();
        functions.sort_by_key(|(_, sum)| std::cmp::Reverse((sum.own, sum.calls)));
        let mut libraries: BTreeMap<&str, (usize, Sum)> = BTreeMap::new();
        for ((_, lib), sum) in &functions {
            let (count, all) = libraries.entry(lib).or_default();
            *count += 1;
            all.calls += sum.calls;
            all.own += sum.own;
        }
        let by_function = functions.iter().take(MOST_FUNCTIONS).map(|((func, lib), sum)| {
            json!({"func": func, "lib": lib, "calls": (sum.calls > 0).then_some(sum.calls), "self_ns": sum.own})
        });
        let mut by_library: Vec<_> = libraries.into_iter().collect();
        by_library.sort_by_key(|(_, (_, sum))| std::cmp::Reverse(sum.own));
        let by_library = by_library.into_iter().map(|(lib, (count, sum))| {
            json!({"lib": lib, "functions": count, "calls": sum.calls, "self_ns": sum.own})
        });
        let table = |title: &str, columns, rows| Table {
            title: title.into(),
            columns,
            rows,
            shown: SHOWN,
        };
        Ok(vec![
            table("by library", super::columns::BY_LIBRARY, rows(by_library)?),
            table(
                "by function",
                super::columns::BY_FUNCTION,
                rows(by_function)?,
            ),
        ])
    }

    /// How the time divides.
    pub(super) fn bar(&self) -> Option<Bar> {
        let mut parts: Vec<BarPart> = self
            .parts
            .iter()
            .filter(|(_, own)| **own > 0)
            .map(|(part, &own)| BarPart {
                name: part.name().to_owned(),
                words: time(own as f64),
                amount: own as f64,
            })
            .collect();
        parts.sort_by(|one, other| other.amount.total_cmp(&one.amount));
        let whole: f64 = parts.iter().map(|part| part.amount).sum();
        (!parts.is_empty()).then(|| Bar {
            title: format!("{} of all threads, in their own code:", time(whole)),
            parts,
        })
    }
}

/// What is said about the recording.
pub(super) fn summary(recorded: &Recorded, threads: usize, costs: &Costs) -> Vec<String> {
    let on = match threads {
        0 | 1 => String::new(),
        many => format!(" on {many} threads"),
    };
    let hooks = match &recorded.deep {
        Some(deep) => format!(
            "{} functions were hooked, {} could not be; other threads stood still for {}",
            deep.hooked,
            deep.skipped,
            time(
                deep.pauses
                    .iter()
                    .max()
                    .map_or(0.0, |pause| pause.as_nanos() as f64)
            ),
        ),
        None => format!(
            "{} calls between libraries and {} inner loops were hooked",
            recorded.calls, recorded.loops
        ),
    };
    let first = format!(
        "{} events{on} in {}, of which about {} went into recording them ({:.0} ns for each hook, {:.0} ns for each of {} reports of \
         Python's); placing the hooks took {}, removing them {}; {hooks}.",
        costs.events,
        time(recorded.took.as_nanos() as f64),
        time(costs.nanoseconds),
        recorded.recording.event_ns,
        recorded.known.costs.report_ns,
        recorded.known.reports + recorded.known.no_news,
        time(recorded.on.as_nanos() as f64),
        time(recorded.off.as_nanos() as f64),
    );
    let times = "Times of native functions run to the next event on their thread, since only entries are recorded.";
    let unseen = match &recorded.deep {
        Some(_) => {
            "Not seen: functions that the compiler has built into others, and what the C library calls inside itself."
        }
        None => {
            "Not seen: functions that a library calls inside itself (--deep shows them), and operators of Python's own types."
        }
    };
    vec![first, format!("{times} {unseen}")]
}
