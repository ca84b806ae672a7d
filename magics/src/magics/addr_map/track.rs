//! The address space as a picture: one box after the other in the order of addresses, on several lines.
//!
//! The width of a box grows with the logarithm of its size, so that a page and a gigabyte are both seen. The filled part
//! of its height is what lies in physical memory.

use crate::libraries::names::file_name;
use diaphane_sight::proc::spans::Span;

use super::regions::{RegionRow, part};
use diaphane_report::view::bytes;
use diaphane_report::{Area, Drawing, Ink};

const WIDTH: f64 = 940.0;
const HEIGHT: f64 = 22.0;
const LINE: f64 = 44.0;
/// What stands for a distance that is not drawn to scale.
const GAP: f64 = 6.0;
/// Those of the small parts have the same tone, as in the bar.
const LAST: usize = 7;
/// More boxes would be a smear.
const MOST: usize = 500;

/// Neighbours that belong together.
struct Block {
    span: Span,
    size: usize,
    rss: Option<u64>,
    kind: &'static str,
    label: String,
    regions: usize,
}

/// Draws the regions in the colours of their parts.
pub(super) fn draw(rows: &[RegionRow], parts: &[(&'static str, u64)]) -> Drawing {
    let blocks = blocks(rows);
    let placed = lanes(&blocks);
    let lines = placed.last().map_or(0, |(_, line)| line + 1);
    let mut drawing = Drawing::new(
        WIDTH,
        LINE * lines as f64,
        "the address space in the order of addresses",
    );
    let (mut last, mut end) = (None, None);
    for (block, (x, line)) in blocks.iter().zip(placed) {
        let top = LINE * line as f64 + 14.0;
        if last != Some(line) {
            drawing.text(
                (0.0, top - 3.0),
                &format!("{:#x}", block.span.start),
                Ink::Faint,
            );
            last = Some(line);
        }
        let middle = top + HEIGHT / 2.0;
        if x >= GAP && end != Some(block.span.start) {
            drawing.line((x - GAP + 1.0, middle), (x - 2.0, middle), Ink::Faint);
        }
        end = Some(block.span.end);
        one(&mut drawing, block, tone(block.kind, parts), (x, top));
    }
    drawing
}

fn one(drawing: &mut Drawing, block: &Block, tone: Ink, (x, top): (f64, f64)) {
    let width = width(block);
    let present = block.rss.map_or(String::new(), |rss| {
        format!(", {} in memory", bytes(rss as f64))
    });
    let count = if block.regions > 1 {
        format!(", {} regions", block.regions)
    } else {
        String::new()
    };
    let title = format!(
        "{} {}: {}{present}{count}, {:#x}-{:#x}",
        block.kind,
        block.label,
        bytes(block.size as f64),
        block.span.start,
        block.span.end
    );
    let box_ = Area {
        x,
        y: top,
        width,
        height: HEIGHT,
    };
    drawing.area(box_, tone, 0.3, &title);
    let part = block
        .rss
        .map_or(0.0, |rss| (rss as f64 / block.size.max(1) as f64).min(1.0));
    if part > 0.0 {
        let filled = Area {
            y: top + HEIGHT * (1.0 - part),
            height: HEIGHT * part,
            ..box_
        };
        drawing.area(filled, tone, 0.6, "");
    }
    drawing.label((x + 2.0, top + 15.0), width - 4.0, &block.label, Ink::Text);
}

/// Where each block lies: from the left, and on which line.
fn lanes(blocks: &[Block]) -> Vec<(f64, usize)> {
    let (mut x, mut line, mut end) = (0.0, 0, None);
    let mut places = Vec::new();
    for block in blocks {
        if end.is_some_and(|end| end != block.span.start) {
            x += GAP;
        }
        if x > 0.0 && x + width(block) > WIDTH {
            (x, line) = (0.0, line + 1);
        }
        places.push((x, line));
        x += width(block) + 1.0;
        end = Some(block.span.end);
    }
    places
}

fn width(block: &Block) -> f64 {
    (2.0 + 6.0 * (block.size as f64 / 4096.0 + 1.0).log2()).min(WIDTH)
}

/// The colour of a kind, which is that of its part in the bar below.
fn tone(kind: &str, parts: &[(&'static str, u64)]) -> Ink {
    let place = parts.iter().position(|(part, _)| *part == kind);
    Ink::Tone(place.unwrap_or(LAST).min(LAST))
}

/// Joins the regions of one owner, and if that leaves too many, those of one kind.
fn blocks(rows: &[RegionRow]) -> Vec<Block> {
    let by_owner = joined(rows, |block, row| {
        block.kind == part(row.kind) && block.label == label(row)
    });
    if by_owner.len() <= MOST {
        return by_owner;
    }
    let mut by_kind = joined(rows, |block, row| block.kind == part(row.kind));
    by_kind.truncate(2 * MOST);
    by_kind
}

fn joined(rows: &[RegionRow], same: impl Fn(&Block, &RegionRow) -> bool) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for row in rows.iter().filter(|row| row.kind != "reserved") {
        match blocks.last_mut().filter(|last| same(last, row)) {
            Some(last) => {
                last.span.end = row.hi.0;
                last.size += row.size;
                last.rss = last.rss.zip(row.rss).map(|(one, other)| one + other);
                last.regions += 1;
                if last.label != label(row) {
                    last.label = format!("{} regions", last.regions);
                }
            }
            None => blocks.push(Block {
                span: Span::new(row.lo.0, row.hi.0),
                size: row.size,
                rss: row.rss,
                kind: part(row.kind),
                label: label(row),
                regions: 1,
            }),
        }
    }
    blocks
}

/// The owner or the file, up to the first point of its name.
fn label(row: &RegionRow) -> String {
    let stem = |name: &str| file_name(name).split('.').next().unwrap_or(name).to_owned();
    let name = match row.kind {
        "code" | "data" | "file" => row.owner.as_deref().or(row.name.as_deref()).map(stem),
        _ => row.owner.clone(),
    };
    name.unwrap_or_else(|| row.kind.to_owned())
}
