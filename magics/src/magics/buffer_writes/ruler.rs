//! The picture: a bar for each buffer, and what was written of it.

use diaphane_report::view::bytes;
use diaphane_report::{Area, Drawing, Ink};

use super::rows::{State, WrittenRow};

/// The room for names and for the bars, in pixels.
const LEFT: f64 = 190.0;
const WIDTH: f64 = 540.0;
const ROW: f64 = 22.0;
/// So many buffers are drawn.
const MOST: usize = 12;
/// The least that can be seen.
const THINNEST: f64 = 1.5;

/// The bars of the buffers that were watched; those that were written first.
pub(super) fn of(rows: &[WrittenRow]) -> Option<Drawing> {
    let is_drawn = |row: &&WrittenRow| {
        !matches!(
            row.state,
            State::New | State::View | State::Left | State::Freed | State::Unknown
        )
    };
    let mut drawn: Vec<&WrittenRow> = rows.iter().filter(is_drawn).collect();
    let is_as_before = |row: &&WrittenRow| matches!(row.state, State::Not | State::Same);
    drawn.sort_by_key(is_as_before);
    drawn.truncate(MOST);
    if drawn.iter().all(is_as_before) {
        return None;
    }
    let mut drawing = Drawing::new(
        LEFT + WIDTH + 10.0,
        drawn.len() as f64 * ROW + 4.0,
        "which part of each buffer was written",
    );
    for (number, row) in drawn.into_iter().enumerate() {
        bar(&mut drawing, row, number as f64 * ROW);
    }
    Some(drawing)
}

fn bar(drawing: &mut Drawing, row: &WrittenRow, top: f64) {
    let whole = Area {
        x: LEFT,
        y: top + 3.0,
        width: WIDTH,
        height: ROW - 7.0,
    };
    let size = bytes(row.nbytes as f64);
    let name: String = row.name.chars().take(24).collect();
    drawing.text_before((LEFT - 8.0, top + 15.0), &name, Ink::Text);
    drawing.area(whole, Ink::Ground, 1.0, &format!("{}, {size}", row.name));
    for (from, to) in &row.shares {
        let part = Area {
            x: LEFT + from * WIDTH,
            width: ((to - from) * WIDTH).max(THINNEST),
            ..whole
        };
        let title = format!(
            "{}: written, {:.1} % to {:.1} %",
            row.name,
            from * 100.0,
            to * 100.0
        );
        let opacity = if row.state == State::Perhaps {
            0.35
        } else {
            0.9
        };
        drawing.area(part, Ink::Tone(0), opacity, &title);
    }
}
