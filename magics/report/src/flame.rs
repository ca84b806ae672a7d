//! Flame graphs: each call below its caller, as wide as its samples. A graph has one lane, or one for each of many
//! processes.
//!
//! It has no script, since front ends drop scripts of notebooks that are not trusted: names are where there is room for
//! them, and all figures under the pointer.

use std::collections::BTreeMap;

use crate::drawing::{Area, Drawing, Ink};

/// How wide a graph is.
pub const WIDTH: f64 = 940.0;
/// How high a line is.
pub const LINE: f64 = 17.0;
/// What is narrower is left out.
const NARROW: f64 = 0.7;
/// No deeper.
const DEEPEST: usize = 48;
/// A letter of the legend.
const LETTER: f64 = 6.2;
/// The bar of kinds, its legend and a gap.
pub const TOP: f64 = 46.0;

/// The colour of a kind of code, by its word in reports.
#[must_use]
pub fn ink(kind: &str) -> Ink {
    match kind {
        "Python" => Ink::Tone(0),
        "interpreter" => Ink::Tone(5),
        "extension" => Ink::Tone(2),
        "BLAS" => Ink::Tone(1),
        "OpenMP" | "Rust" => Ink::Tone(3),
        "libc" => Ink::Tone(6),
        "GIL wait" => Ink::Tone(4),
        "thread" => Ink::Ground,
        _ => Ink::Tone(7),
    }
}

/// How a call is drawn.
#[derive(Debug, Clone)]
pub struct FlameBox {
    /// What stands in it.
    pub name: String,
    /// What the pointer shows.
    pub title: String,
    /// Its colour.
    pub ink: Ink,
}

/// Calls that have the same callers; `Id` is what a function is known by.
#[derive(Debug)]
pub struct FlameNode<Id> {
    count: u64,
    calls: BTreeMap<Id, FlameNode<Id>>,
}

impl<Id> Default for FlameNode<Id> {
    fn default() -> Self {
        Self {
            count: 0,
            calls: BTreeMap::new(),
        }
    }
}

impl<Id: Ord + Copy> FlameNode<Id> {
    /// How many samples it has.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Adds the samples of a stack, the outermost function first, as deep as it is drawn.
    pub fn add(&mut self, calls: &[Id], count: u64) {
        let mut node = self;
        node.count += count;
        for call in calls.iter().take(DEEPEST) {
            node = node.calls.entry(*call).or_default();
            node.count += count;
        }
    }

    /// How many lines it takes below its own, where what has fewer samples than these is left out.
    #[must_use]
    pub fn depth(&self, least: f64) -> usize {
        let shown = self.calls.values();
        let shown = shown.filter(|node| node.count as f64 >= least);
        let deepest = shown.map(|node| 1 + node.depth(least)).max();
        deepest.unwrap_or(0).min(DEEPEST)
    }

    /// All counts below it, each as often as there is a call that has it.
    pub(crate) fn counts(&self, counts: &mut Vec<u64>) {
        for call in self.calls.values() {
            counts.push(call.count);
            call.counts(counts);
        }
    }
}

/// A part of a graph: where it begins, how wide a sample is, and from how many samples on a call is drawn.
#[derive(Debug, Clone, Copy)]
pub struct FlamePlace {
    /// The left edge of the calls.
    pub x: f64,
    /// The upper edge of their first line.
    pub y: f64,
    /// The width of a sample.
    pub scale: f64,
    /// The fewest samples of a call that is drawn.
    pub least: f64,
}

impl FlamePlace {
    /// A place where all is drawn that can be seen.
    #[must_use]
    pub fn new(x: f64, y: f64, scale: f64) -> Self {
        let least = NARROW / scale;
        Self { x, y, scale, least }
    }
}

impl Drawing {
    /// Draws the calls of a node side by side, in the order of their names, each with its own below it.
    pub fn flames<Id: Ord + Copy>(
        &mut self,
        node: &FlameNode<Id>,
        place: FlamePlace,
        show: &dyn Fn(Id, u64) -> FlameBox,
    ) {
        let mut calls: Vec<(FlameBox, &FlameNode<Id>)> = Vec::new();
        for (id, call) in &node.calls {
            calls.push((show(*id, call.count), call));
        }
        calls.sort_by(|(one, _), (other, _)| {
            (&one.name, &one.title).cmp(&(&other.name, &other.title))
        });
        let mut x = place.x;
        for (look, call) in calls {
            let width = call.count as f64 * place.scale;
            if call.count as f64 >= place.least {
                self.flame(&look, (x, place.y), width);
                let y = place.y + LINE;
                self.flames(call, FlamePlace { x, y, ..place }, show);
            }
            x += width;
        }
    }

    /// One box of a graph.
    pub fn flame(&mut self, look: &FlameBox, (x, y): (f64, f64), width: f64) {
        let area = Area {
            x,
            y,
            width: (width - 0.4).max(NARROW),
            height: LINE - 1.0,
        };
        let opacity = if look.ink == Ink::Ground { 1.0 } else { 0.45 };
        self.area(area, look.ink, opacity, &look.title);
        let at = (area.x + 3.0, area.y + 12.0);
        self.label(at, area.width - 5.0, &look.name, Ink::Text);
    }

    /// A bar of the kinds of code at the top, with what the colours mean below it: each kind with its words and its share.
    pub fn kinds(&mut self, kinds: &[(String, String, f64)]) {
        let (mut x, mut legend) = (0.0, 0.0);
        for (kind, words, share) in kinds {
            let width = share * WIDTH;
            let area = |x, y, width, height| Area {
                x,
                y,
                width,
                height,
            };
            self.area(area(x, 0.0, width, 18.0), ink(kind), 0.8, words);
            x += width;
            let next = legend + 26.0 + words.chars().count() as f64 * LETTER;
            if next > WIDTH {
                continue;
            }
            self.area(area(legend, 25.0, 10.0, 10.0), ink(kind), 0.8, kind);
            self.text((legend + 14.0, 34.0), words, Ink::Text);
            legend = next;
        }
    }
}
