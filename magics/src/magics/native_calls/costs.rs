//! What the recording cost, and what part of the cell it covers.

use std::time::Duration;

use diaphane_cpython::events::IMPORT;
use diaphane_report::view::time;
use diaphane_trace::event::Log;
use serde_json::{Value, json};

use super::record::Recorded;
use super::tree::{NodeKind, Tree};

/// What was recorded, in numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Costs {
    pub events: usize,
    pub lost: u64,
    muted: u64,
    /// How much longer the cell took for it.
    pub nanoseconds: f64,
}

impl Costs {
    pub fn of(recorded: &Recorded) -> Self {
        let (recording, known) = (&recorded.recording, &recorded.known);
        let events: usize = recording.logs.iter().map(|log| log.events.len()).sum();
        let lost: u64 = recording.logs.iter().map(|log| log.lost).sum();
        let muted: u64 = recording.logs.iter().map(|log| log.muted).sum();
        // The cost of a report has its event in it.
        let hooked = (events as f64 - known.reports as f64).max(0.0);
        let noted = hooked * recording.event_ns
            + (lost + muted) as f64 * recording.counted_ns
            + known.reports as f64 * known.costs.report_ns
            + known.no_news as f64 * known.costs.no_news_ns;
        // Behind a pause nothing is counted: there the hooks are taken to be run as often as before.
        let covered = covered(recorded);
        let behind = recorded.took.saturating_sub(covered).as_nanos() as f64;
        let plain = (covered.as_nanos() as f64 - noted).max(1.0);
        let idle = (hooked + lost as f64) / plain * recording.paused_ns;
        let nanoseconds = noted + behind * idle / (1.0 + idle);
        Self {
            events,
            lost,
            muted,
            nanoseconds,
        }
    }

    /// What the cell would take without the recording.
    pub fn plain(&self, recorded: &Recorded) -> Duration {
        let cost = Duration::from_nanos(self.nanoseconds.max(0.0) as u64);
        recorded.took.saturating_sub(cost)
    }

    /// As a fact.
    pub fn fact(&self, recorded: &Recorded) -> Value {
        let (recording, known) = (&recorded.recording, &recorded.known);
        let nanoseconds = |time: Duration| time.as_nanos() as u64;
        let deep = recorded.deep.as_ref();
        let pauses = deep.map(|deep| deep.pauses.map(nanoseconds).into_iter().max());
        json!({
            "events": self.events,
            "lost": self.lost,
            "muted": self.muted,
            "event_ns": recording.event_ns,
            "reports": known.reports + known.no_news,
            "report_ns": known.costs.report_ns,
            "cost_ns": self.nanoseconds.round() as u64,
            "elapsed_ns": nanoseconds(recorded.took),
            "covered_ns": nanoseconds(covered(recorded)),
            "hooks": recorded.calls + recorded.loops + deep.map_or(0, |deep| deep.hooked),
            "on_ns": nanoseconds(recorded.on),
            "off_ns": nanoseconds(recorded.off),
            "pause_ns": pauses.flatten(),
        })
    }
}

/// How much of the cell's time was recorded.
fn covered(recorded: &Recorded) -> Duration {
    let recording = &recorded.recording;
    let covered = recording.paused.map_or(recorded.took, |paused| {
        let ticks = paused.saturating_sub(recording.started);
        let paused = Duration::from_nanos(recording.scale.nanoseconds(ticks));
        paused.saturating_sub(recorded.on)
    });
    covered.min(recorded.took)
}

/// What stands above the tree: which part of the cell it covers.
pub(super) fn coverage(recorded: &Recorded, costs: &Costs, trees: &[(&Log, Tree)]) -> Vec<String> {
    let elapsed = recorded.took.as_nanos() as f64;
    let mut said = Vec::new();
    if recorded.recording.paused.is_some() {
        let covered = covered(recorded).as_nanos() as f64;
        said.push(format!(
            "The tree covers the first {} of {} ({:.0} %): {} events are as many as a report is made of at once, so the \
             rest ran almost without hooks. %%native_prof samples all of it; --limit N records more.",
            time(covered),
            time(elapsed),
            100.0 * covered / elapsed.max(1.0),
            costs.events,
        ));
    }
    let full = recorded.recording.logs.iter().filter(|log| log.lost > 0);
    said.extend(full.map(|log| {
        let last = last_time(log).saturating_sub(recorded.recording.started);
        let last = recorded.recording.scale.nanoseconds(last) as f64;
        format!(
            "Of thread {} the tree covers what happened before {} had passed; {} later events were only counted.",
            log.tid,
            time(last),
            log.lost
        )
    }));
    let imports = imports(recorded, trees);
    if imports > 0 {
        let imports = recorded.recording.scale.nanoseconds(imports) as f64;
        said.push(format!(
            "Imports took {} and are one row at each place; --imports records what they call.",
            time(imports)
        ));
    }
    said
}

/// When a thread wrote its last event, in ticks.
pub(super) fn last_time(log: &Log) -> u64 {
    let mut times = log.events.iter().rev().map(|event| event.time);
    times.find(|&time| time > 0).unwrap_or(0)
}

/// The ticks that imports took that are one row.
fn imports(recorded: &Recorded, trees: &[(&Log, Tree)]) -> u64 {
    let nodes = trees.iter().flat_map(|(_, tree)| &tree.nodes);
    let imports = nodes.filter(|node| recorded.is_import(node.kind));
    imports.map(|node| node.total).sum()
}

impl Recorded {
    /// Whether a node stands for imports as one step.
    pub fn is_import(&self, node: NodeKind) -> bool {
        let NodeKind::Python(number) = node else {
            return false;
        };
        let code = self.known.codes.get(number);
        self.fold_imports
            && code.is_some_and(|code| {
                code.function == IMPORT && code.file == "<frozen importlib._bootstrap>"
            })
    }
}
