//! The listed buffers by the memory that they belong to, and two pictures of it: bars in the text, a ruler in HTML.

use std::collections::{BTreeMap, HashSet};

use diaphane_sight::proc::spans::{Layout, Span};

use super::Listed;
use crate::python::objects::type_name;
use diaphane_report::view::bytes;
use diaphane_report::{Area, Drawing, Ink};

/// One owner's memory, and who shows what of it.
pub(super) struct OwnerGroup<'a, 'py> {
    span: Span,
    /// The owner by its name, or what it is.
    owner: String,
    members: Vec<&'a Listed<'py>>,
}

/// The groups in the order of their addresses.
pub(super) fn of<'a, 'py>(listed: &'a [Listed<'py>]) -> Vec<OwnerGroup<'a, 'py>> {
    let mut groups: BTreeMap<(usize, usize), OwnerGroup<'_, '_>> = BTreeMap::new();
    for one in listed {
        let Some(bounds) = one.bounds().filter(|span| !span.is_empty()) else {
            continue;
        };
        let span = one.owner.span.unwrap_or(bounds);
        let group = groups
            .entry((span.start, one.owner.id))
            .or_insert_with(|| OwnerGroup {
                span,
                owner: one.owner_name().unwrap_or(&one.owner.kind).to_owned(),
                members: Vec::new(),
            });
        // An owner that does not export its memory is as large as what is seen of it.
        group.span.start = group.span.start.min(bounds.start);
        group.span.end = group.span.end.max(bounds.end);
        group.members.push(one);
    }
    groups.into_values().collect()
}

impl OwnerGroup<'_, '_> {
    /// The place of a part in the whole, each end from 0 to 1.
    fn share(&self, part: Span) -> (f64, f64) {
        let whole = self.span.len() as f64;
        let place = |address: usize| (address - self.span.start) as f64 / whole;
        (place(part.start), place(part.end))
    }

    fn has_view(&self) -> bool {
        self.members.iter().any(|one| !one.owner.is_self)
    }
}

/// Lines for `--graph`: for each owner a bar a buffer, and through which objects the buffer comes to its memory.
pub(super) fn listing(groups: &[OwnerGroup<'_, '_>]) -> Vec<String> {
    let mut lines = Vec::new();
    for group in groups {
        let (owner, size) = (&group.owner, bytes(group.span.len() as f64));
        lines.push(format!("{:#x}  {owner}, {size}", group.span.start));
        lines.extend(group.members.iter().map(|one| bar(group, one)));
    }
    lines
}

fn bar(group: &OwnerGroup<'_, '_>, one: &Listed<'_>) -> String {
    const WIDTH: usize = 32;
    const NAME: usize = 16;
    let (from, to) = group.share(one.bounds().unwrap_or(group.span));
    let first = ((from * WIDTH as f64) as usize).min(WIDTH - 1);
    let last = ((to * WIDTH as f64).ceil() as usize).clamp(first + 1, WIDTH);
    let name = shortened(&one.name, NAME);
    let (before, filled, after) = (
        "·".repeat(first),
        if is_dense(one) { "█" } else { "▒" }.repeat(last - first),
        "·".repeat(WIDTH - last),
    );
    format!("  {name:NAME$} {before}{filled}{after}  {}", way(one))
}

/// Whether a buffer shows every byte between its first and its last.
fn is_dense(one: &Listed<'_>) -> bool {
    one.layout().is_some_and(Layout::is_dense)
}

/// The chain of bases, such as `ndarray of memoryview of bytearray`.
fn way(one: &Listed<'_>) -> String {
    let Ok(buffer) = &one.buffer else {
        return String::new();
    };
    let mut way = vec![buffer.kind.clone()];
    way.extend(buffer.chain.iter().map(type_name));
    let mut way = way.join(" of ");
    if let (false, Some(name)) = (one.owner.is_self, one.owner.name.as_deref()) {
        way += &format!(" {}", shortened(name, 16));
    }
    way
}

/// The ruler: a lane for each owner whose memory somebody else shows too, the views below the owner.
pub(super) fn ruler(groups: &[OwnerGroup<'_, '_>], all: bool) -> Option<Drawing> {
    const LANES: usize = 12;
    let mut rows = HashSet::new();
    // A lane for buffers whose row another lane has shown already tells nothing new.
    let mut is_new = |group: &OwnerGroup<'_, '_>| {
        let new = group
            .members
            .iter()
            .map(|one| rows.insert(one.row_name.clone()));
        new.fold(false, |any, new| any | new)
    };
    let lanes: Vec<&OwnerGroup<'_, '_>> = groups
        .iter()
        .filter(|group| all || (group.has_view() && is_new(group)))
        .take(LANES)
        .collect();
    let rows: usize = lanes.iter().map(|lane| rows_of(lane)).sum();
    if lanes.is_empty() {
        return None;
    }
    let height = lanes.len() as f64 * (HEAD + 12.0) + rows as f64 * ROW;
    let mut drawing = Drawing::new(
        LEFT + WIDTH + 10.0,
        height,
        "where the buffers lie in the memory of their owners",
    );
    let mut top = 0.0;
    for lane in lanes {
        top = draw(&mut drawing, lane, top);
    }
    Some(drawing)
}

/// So many views of one owner have a row of their own.
const ROWS: usize = 8;

fn rows_of(lane: &OwnerGroup<'_, '_>) -> usize {
    lane.members.len().min(ROWS)
}

/// The room for names, for the whole of an owner's memory, for a row and for the line above the rows.
const LEFT: f64 = 190.0;
const WIDTH: f64 = 540.0;
const ROW: f64 = 17.0;
const HEAD: f64 = 18.0;

/// Draws a lane, and returns where the next one begins.
fn draw(drawing: &mut Drawing, lane: &OwnerGroup<'_, '_>, top: f64) -> f64 {
    let size = bytes(lane.span.len() as f64);
    let heading = format!("memory of {}: {size} at {:#x}", lane.owner, lane.span.start);
    drawing.label((LEFT, top + 12.0), WIDTH, &heading, Ink::Faint);
    let ground = Area {
        x: LEFT,
        y: top + HEAD,
        width: WIDTH,
        height: rows_of(lane) as f64 * ROW,
    };
    drawing.area(ground, Ink::Ground, 1.0, &heading);
    for (number, one) in lane.members.iter().take(ROWS).enumerate() {
        let middle = top + HEAD + number as f64 * ROW;
        let name = match (number + 1 == ROWS, lane.members.len().saturating_sub(ROWS)) {
            (true, more @ 1..) => format!("{} and {more} more", shortened(&one.name, 12)),
            _ => shortened(&one.name, 24),
        };
        drawing.text_before((LEFT - 8.0, middle + 12.0), &name, Ink::Text);
        member(drawing, lane, one, (number, middle + 3.0));
    }
    top + HEAD + rows_of(lane) as f64 * ROW + 12.0
}

/// What a buffer shows of the memory: one bar, or dashes where it skips items.
fn member(drawing: &mut Drawing, lane: &OwnerGroup<'_, '_>, one: &Listed<'_>, at: (usize, f64)) {
    const DASH: f64 = 4.0;
    let ((number, y), Some(bounds)) = (at, one.bounds()) else {
        return;
    };
    let (from, to) = lane.share(bounds);
    let whole = Area {
        x: LEFT + from * WIDTH,
        y,
        width: (to - from) * WIDTH,
        height: ROW - 6.0,
    };
    let title = format!(
        "{}: {:#x}-{:#x}, {}{} of {}",
        one.name,
        bounds.start,
        bounds.end,
        if is_dense(one) { "" } else { "with gaps in " },
        bytes(bounds.len() as f64),
        bytes(lane.span.len() as f64),
    );
    let dashes = match is_dense(one) {
        true => 0,
        false => (whole.width / (2.0 * DASH)) as usize,
    };
    if dashes == 0 {
        drawing.area(whole, Ink::Tone(number), 0.9, &title);
    }
    for dash in 0..dashes {
        let area = Area {
            x: whole.x + 2.0 * DASH * dash as f64,
            width: DASH,
            ..whole
        };
        drawing.area(area, Ink::Tone(number), 0.9, &title);
    }
}

fn shortened(name: &str, most: usize) -> String {
    if name.chars().count() <= most {
        return name.to_owned();
    }
    let start: String = name.chars().take(most - 1).collect();
    start + "…"
}
