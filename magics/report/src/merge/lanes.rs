//! One flame graph of many processes' samples: a lane for each, as wide as it has samples, so that who had less to do is
//! seen at once.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::shared::some_names;
use crate::drawing::{Drawing, Ink};
use crate::flame::{FlameBox, FlameNode, FlamePlace, LINE, TOP, WIDTH, ink};
use crate::report::Report;

/// No more processes have a lane: those with most samples.
const LANES: usize = 16;
/// How many calls all lanes together draw, and how many a lane has at least: a notebook keeps each with some 270 bytes.
const BOXES: usize = 200;
const FEWEST: usize = 12;
/// Between two lanes.
const GAP: f64 = 8.0;

/// The samples of the workers.
#[derive(Default)]
pub(super) struct Lanes {
    ids: HashMap<String, u32>,
    /// Each function's label and the kind of its code.
    functions: Vec<(String, String)>,
    lanes: Vec<Lane>,
    /// Samples by the kind of code, of all workers.
    kinds: BTreeMap<String, u64>,
    /// Who has samples and no lane.
    without: Vec<usize>,
}

/// The samples of one.
struct Lane {
    worker: usize,
    calls: FlameNode<u32>,
}

impl Lanes {
    /// Adds the samples of a worker, if its report has some.
    pub(super) fn add(&mut self, worker: usize, report: &Report) {
        let Some(stacks) = report.facts.get("stacks").and_then(Value::as_array) else {
            return;
        };
        let labels = report.facts.get("labels");
        let mut calls = FlameNode::default();
        for stack in stacks {
            let text = |key: &str| stack.get(key).and_then(Value::as_str).unwrap_or_default();
            let count = stack.get("count").and_then(Value::as_u64).unwrap_or(0);
            let thread = format!("thread {}", text("thread"));
            let mut path = vec![self.id(thread.trim_end(), "thread")];
            let frames = stack.get("frames").and_then(Value::as_array);
            let frames = frames.into_iter().flatten().filter_map(Value::as_str);
            path.extend(frames.map(|label| {
                let kind = labels.and_then(|labels| labels.get(label)?.as_str());
                self.id(label, kind.unwrap_or_default())
            }));
            calls.add(&path, count);
        }
        if calls.count() == 0 {
            return;
        }
        let kinds = report.facts.get("kinds").and_then(Value::as_object);
        for (kind, count) in kinds.into_iter().flatten() {
            *self.kinds.entry(kind.clone()).or_default() += count.as_u64().unwrap_or(0);
        }
        self.lanes.push(Lane { worker, calls });
        if self.lanes.len() > LANES {
            let counts = self.lanes.iter().map(|lane| lane.calls.count());
            let least = counts.enumerate().min_by_key(|(_, count)| *count);
            let gone = self.lanes.remove(least.map_or(0, |(place, _)| place));
            self.without.push(gone.worker);
        }
    }

    fn id(&mut self, label: &str, kind: &str) -> u32 {
        if let Some(&id) = self.ids.get(label) {
            return id;
        }
        let id = self.functions.len() as u32;
        self.functions.push((label.to_owned(), kind.to_owned()));
        self.ids.insert(label.to_owned(), id);
        id
    }

    /// The picture, where there is something to draw.
    pub(super) fn draw(mut self, names: &[String]) -> Option<Drawing> {
        let most = self.lanes.iter().map(|lane| lane.calls.count()).max()?;
        let scale = WIDTH / most as f64;
        let boxes = (BOXES / self.lanes.len()).max(FEWEST);
        let place = FlamePlace::new(0.0, 0.0, scale);
        let least = |lane: &Lane| place.least.max(threshold(&lane.calls, boxes));
        let lines = |lane: &Lane| 1 + lane.calls.depth(least(lane));
        let heights = self
            .lanes
            .iter()
            .map(|lane| LINE * lines(lane) as f64 + GAP);
        let height = TOP + heights.sum::<f64>() + LINE;
        let label = "flame graphs of several processes, one below the other: the width of a function is its number of samples";
        let mut drawing = Drawing::new(WIDTH, height, label);
        drawing.kinds(&self.shares());
        let mut y = TOP;
        for lane in &self.lanes {
            let all = lane.calls.count();
            let title = format!("{}: {all} samples", names[lane.worker]);
            drawing.label((0.0, y + 12.0), WIDTH, &title, Ink::Text);
            let place = FlamePlace {
                y: y + LINE,
                least: least(lane),
                ..place
            };
            drawing.flames(&lane.calls, place, &|id, count| self.shown(id, count, all));
            y += LINE * lines(lane) as f64 + GAP;
        }
        self.without.sort_unstable();
        if !self.without.is_empty() {
            let names = some_names(&self.without, names);
            let words = format!("without a lane, since they have fewer samples: {names}");
            drawing.label((0.0, y + 12.0), WIDTH, &words, Ink::Faint);
        }
        Some(drawing)
    }

    /// The kinds of code, those with most samples first.
    fn shares(&self) -> Vec<(String, String, f64)> {
        let all: u64 = self.kinds.values().sum();
        let mut kinds: Vec<(&String, u64)> = self
            .kinds
            .iter()
            .map(|(kind, count)| (kind, *count))
            .collect();
        kinds.sort_by_key(|(_, count)| u64::MAX - count);
        let share = |(kind, count): (&String, u64)| {
            let share = count as f64 / all.max(1) as f64;
            (
                kind.clone(),
                format!("{kind} {:.1} %", share * 100.0),
                share,
            )
        };
        kinds.into_iter().map(share).collect()
    }

    fn shown(&self, id: u32, count: u64, all: u64) -> FlameBox {
        let (label, kind) = &self.functions[id as usize];
        let share = count as f64 * 100.0 / all as f64;
        // Where it stands is under the pointer.
        let name = label.split_once(" [").or_else(|| label.split_once(" ("));
        let name = name.map_or(label.as_str(), |(name, _)| name);
        let is_bare = name.is_empty() || kind == "thread";
        FlameBox {
            name: if is_bare { label } else { name }.to_owned(),
            title: format!("{label}: {count} samples, {share:.1} % ({kind})"),
            ink: ink(kind),
        }
    }
}

/// From how many samples on a call is drawn, so that there are no more than so many.
fn threshold(node: &FlameNode<u32>, boxes: usize) -> f64 {
    let mut counts = Vec::new();
    node.counts(&mut counts);
    counts.sort_unstable_by(|one, other| other.cmp(one));
    counts.get(boxes).map_or(0.0, |count| *count as f64 + 1.0)
}
