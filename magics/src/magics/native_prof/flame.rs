//! The samples as a flame graph, with the thread on top and each call below its caller, and a bar of kinds above it.
//!
//! It has no script, since front ends drop scripts of notebooks that are not trusted: names are where there is room for
//! them, and all figures under the pointer.

use std::collections::BTreeMap;

use super::profile::Profile;
use super::sampled::Id;
use diaphane_report::{Area, Drawing, Ink};

const WIDTH: f64 = 940.0;
const LINE: f64 = 17.0;
/// A letter of the labels.
const LETTER: f64 = 6.2;
/// What is narrower is left out.
const NARROW: f64 = 0.7;
/// No deeper.
const DEEPEST: usize = 48;
/// The bar of kinds, its legend and a gap.
const TOP: f64 = 46.0;

/// Calls that have the same callers.
#[derive(Default)]
struct FlameNode {
    count: u64,
    calls: BTreeMap<Id, FlameNode>,
}

impl FlameNode {
    /// As deep as it is drawn.
    fn add(&mut self, calls: &[Id], count: u64) {
        let mut node = self;
        node.count += count;
        for call in calls.iter().take(DEEPEST) {
            node = node.calls.entry(*call).or_default();
            node.count += count;
        }
    }

    /// How many lines it takes below its own.
    fn depth(&self, scale: f64) -> usize {
        let shown = self
            .calls
            .values()
            .filter(|node| node.count as f64 * scale >= NARROW);
        let deepest = shown.map(|node| 1 + node.depth(scale)).max();
        deepest.unwrap_or(0).min(DEEPEST)
    }
}

/// Draws everything.
pub(super) fn draw(profile: &Profile) -> Drawing {
    let mut threads: BTreeMap<i32, FlameNode> = BTreeMap::new();
    for (path, count) in &profile.paths {
        let node = threads.entry(path.tid).or_default();
        node.add(&path.calls, *count);
    }
    let scale = WIDTH / profile.samples.max(1) as f64;
    let depth = threads.values().map(|node| node.depth(scale)).max();
    let height = TOP + LINE * (2 + depth.unwrap_or(0)) as f64;
    let label = "flame graph: the width of a function is its share of the samples";
    let mut drawing = Drawing::new(WIDTH, height, label);
    bar(&mut drawing, profile, scale);
    let mut x = 0.0;
    for (tid, node) in &threads {
        let width = node.count as f64 * scale;
        let text = profile.thread(*tid);
        let area = Area {
            x,
            y: TOP,
            width,
            height: LINE - 1.0,
        };
        let title = format!("{text}: {}", shared(profile, node.count));
        one(&mut drawing, area, Ink::Ground, &text, &title);
        below(&mut drawing, profile, node, (x, 1), scale);
        x += width;
    }
    drawing
}

fn below(drawing: &mut Drawing, profile: &Profile, node: &FlameNode, at: (f64, usize), scale: f64) {
    let (mut x, level) = at;
    if level > DEEPEST {
        return;
    }
    let mut calls: Vec<(&Id, &FlameNode)> = node.calls.iter().collect();
    calls.sort_by_cached_key(|(id, _)| profile.label(**id));
    for (id, call) in calls {
        let width = call.count as f64 * scale;
        if width < NARROW {
            x += width;
            continue;
        }
        let function = profile.function(*id);
        let area = Area {
            x,
            y: TOP + LINE * level as f64,
            width: (width - 0.4).max(NARROW),
            height: LINE - 1.0,
        };
        let title = format!(
            "{}: {} ({}){}",
            profile.label(*id),
            shared(profile, call.count),
            function.kind.word(),
            function
                .symbol
                .as_ref()
                .map_or_else(String::new, |symbol| format!(" {symbol}"))
        );
        one(drawing, area, function.kind.ink(), &function.name, &title);
        below(drawing, profile, call, (x, level + 1), scale);
        x += width;
    }
}

/// How many samples, and which share of all where that says something.
fn shared(profile: &Profile, count: u64) -> String {
    let share = profile.share(count);
    let share = share.map_or_else(String::new, |share| format!(", {share} %"));
    format!("{}{share}", super::profile::counted(count))
}

fn one(drawing: &mut Drawing, area: Area, ink: Ink, text: &str, title: &str) {
    let opacity = if ink == Ink::Ground { 1.0 } else { 0.45 };
    drawing.area(area, ink, opacity, title);
    drawing.label(
        (area.x + 3.0, area.y + 12.0),
        area.width - 5.0,
        text,
        Ink::Text,
    );
}

/// One bar of the kinds of code, with what the colours mean below it.
fn bar(drawing: &mut Drawing, profile: &Profile, scale: f64) {
    let (mut x, mut legend) = (0.0, 0.0);
    for (kind, count) in profile.kinds() {
        let width = count as f64 * scale;
        let text = format!("{} {}", kind.word(), profile.part(count));
        let area = Area {
            x,
            y: 0.0,
            width,
            height: 18.0,
        };
        drawing.area(area, kind.ink(), 0.8, &text);
        x += width;
        let next = legend + 26.0 + text.chars().count() as f64 * LETTER;
        if next > WIDTH {
            continue;
        }
        let mark = Area {
            x: legend,
            y: 25.0,
            width: 10.0,
            height: 10.0,
        };
        drawing.area(mark, kind.ink(), 0.8, kind.word());
        drawing.text((legend + 14.0, 34.0), &text, Ink::Text);
        legend = next;
    }
}
