//! The samples as a flame graph, with the threads side by side on top and a bar of kinds above them.

use std::collections::BTreeMap;

use super::profile::Profile;
use super::sampled::Id;
use diaphane_report::flame::{FlameBox, FlameNode, FlamePlace, LINE, TOP, WIDTH};
use diaphane_report::{Drawing, Ink};

/// Draws everything.
pub(super) fn draw(profile: &Profile) -> Drawing {
    let mut threads: BTreeMap<i32, FlameNode<Id>> = BTreeMap::new();
    for (path, count) in &profile.paths {
        let node = threads.entry(path.tid).or_default();
        node.add(&path.calls, *count);
    }
    let scale = WIDTH / profile.samples.max(1) as f64;
    let place = FlamePlace::new(0.0, TOP + LINE, scale);
    let depth = threads.values().map(|node| node.depth(place.least)).max();
    let height = TOP + LINE * (2 + depth.unwrap_or(0)) as f64;
    let label = "flame graph: the width of a function is its share of the samples";
    let mut drawing = Drawing::new(WIDTH, height, label);
    let kinds = profile.kinds().into_iter();
    let kinds: Vec<_> = kinds
        .map(|(kind, count)| {
            let words = format!("{} {}", kind.word(), profile.part(count));
            (kind.word().to_owned(), words, count as f64 * scale / WIDTH)
        })
        .collect();
    drawing.kinds(&kinds);
    let mut x = 0.0;
    for (tid, node) in &threads {
        let name = profile.thread(*tid);
        let look = FlameBox {
            title: format!("{name}: {}", shared(profile, node.count())),
            name,
            ink: Ink::Ground,
        };
        let width = node.count() as f64 * scale;
        drawing.flame(&look, (x, TOP), width);
        drawing.flames(node, FlamePlace { x, ..place }, &|id, count| {
            shown(profile, id, count)
        });
        x += width;
    }
    drawing
}

fn shown(profile: &Profile, id: Id, count: u64) -> FlameBox {
    let function = profile.function(id);
    let symbol = function.symbol.as_ref();
    FlameBox {
        name: function.name.clone(),
        title: format!(
            "{}: {} ({}){}",
            profile.label(id),
            shared(profile, count),
            function.kind.word(),
            symbol.map_or_else(String::new, |symbol| format!(" {symbol}"))
        ),
        ink: function.kind.ink(),
    }
}

/// How many samples, and which share of all where that says something.
fn shared(profile: &Profile, count: u64) -> String {
    let share = profile.share(count);
    let share = share.map_or_else(String::new, |share| format!(", {share} %"));
    format!("{}{share}", super::profile::counted(count))
}
