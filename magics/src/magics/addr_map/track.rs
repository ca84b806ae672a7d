//! The address space as a picture: one box after the other in the order of addresses, on several lines.
//!
//! The width of a box grows with the logarithm of its size, so that a page and a gigabyte are both seen. The filled part
//! of its height is what lies in physical memory.

use crate::libraries::names::file_name;
use diaphane_sight::proc::spans::Span;

use super::regions::{RegionRow, Total};
use diaphane_report::view::bytes;
use diaphane_report::{Area, Drawing, Ink};

const WIDTH: f64 = 940.0;
const HEIGHT: f64 = 22.0;
const LINE: f64 = 44.0;
/// What stands for a distance that is not drawn to scale.
const GAP: f64 = 6.0;
/// A letter of the labels.
const LETTER: f64 = 6.2;
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

/// Draws the regions, and below them what the colours mean.
pub(super) fn draw(rows: &[RegionRow], totals: &[Total]) -> Drawing {
    let blocks = blocks(rows);
    let placed = lanes(&blocks);
    let lines = placed.last().map_or(0, |(_, line)| line + 1);
    let mut drawing = Drawing::new(
        WIDTH,
        LINE * lines as f64 + 24.0,
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
        one(&mut drawing, block, x, top);
    }
    legend(&mut drawing, totals, LINE * lines as f64 + 14.0);
    drawing
}

fn one(drawing: &mut Drawing, block: &Block, x: f64, top: f64) {
    let (width, tone) = (width(block), tone(block.kind));
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
        drawing.area(filled, tone, 0.6, &title);
    }
    let room = ((width - 4.0) / LETTER) as usize;
    if room >= 4 && !block.label.is_empty() {
        let fits = block.label.chars().count() <= room;
        let text: String = match fits {
            true => block.label.clone(),
            false => block.label.chars().take(room - 1).chain(['…']).collect(),
        };
        drawing.text((x + 2.0, top + 15.0), &text, Ink::Text);
    }
}

/// What the colours mean, and how much of each there is.
fn legend(drawing: &mut Drawing, totals: &[Total], top: f64) {
    let mut x = 0.0;
    for total in totals.iter().filter(|total| total.kind != "reserved") {
        let size = bytes(total.rss.unwrap_or(total.size as u64) as f64);
        let text = format!("{} {size}", total.kind);
        let next = x + 26.0 + text.chars().count() as f64 * LETTER;
        if next > WIDTH {
            break;
        }
        drawing.area(
            Area {
                x,
                y: top - 9.0,
                width: 10.0,
                height: 10.0,
            },
            tone(total.kind),
            0.8,
            total.kind,
        );
        drawing.text((x + 14.0, top), &text, Ink::Text);
        x = next;
    }
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

fn tone(kind: &str) -> Ink {
    Ink::Tone(match kind {
        "code" | "data" | "library" => 0,
        "heap" | "thread arena" => 1,
        "array" => 2,
        "stack" => 3,
        "jit" => 4,
        "file" | "shared" => 5,
        "kernel" => 6,
        _ => 7,
    })
}

/// Joins the regions of one owner, and if that leaves too many, those of one kind.
fn blocks(rows: &[RegionRow]) -> Vec<Block> {
    let by_owner = joined(rows, |block, row| {
        block.kind == kind(row) && block.label == label(row)
    });
    if by_owner.len() <= MOST {
        return by_owner;
    }
    let mut by_kind = joined(rows, |block, row| block.kind == kind(row));
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
                kind: kind(row),
                label: label(row),
                regions: 1,
            }),
        }
    }
    blocks
}

/// A library's code and data are one thing in the picture.
fn kind(row: &RegionRow) -> &'static str {
    match row.kind {
        "code" | "data" => "library",
        kind => kind,
    }
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
