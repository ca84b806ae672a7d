//! The stacks of all threads of a crash, as rows and as lines.

use diaphane_sight::crash::black_box::BlackBox;
use serde_json::{Value, json};

use super::stack::cell_number;
use crate::error::Error;
use crate::stacks::now::ThreadNow;
use diaphane_report::{Row, rows};

/// One row for each function, those of the thread that crashed first.
pub(super) fn of_threads(
    black_box: &BlackBox,
    threads: &[ThreadNow],
    crashed: i32,
) -> Result<Vec<Row>, Error> {
    let row = |thread: &ThreadNow, row: Value| {
        let Value::Object(mut row) = row else {
            return row;
        };
        row.shift_remove("stopped_ns");
        row.insert("crashed".into(), json!(thread.tid == crashed));
        Value::Object(row)
    };
    let all = ordered(threads, crashed).flat_map(|thread| {
        let cells = thread
            .merged
            .calls
            .iter()
            .map(|call| cell_number(black_box, call));
        let rows = thread.rows().into_iter().zip(cells);
        rows.map(move |(mut fields, cell)| {
            fields["cell"] = json!(cell);
            row(thread, fields)
        })
    });
    Ok(rows(all)?)
}

/// All stacks in lines.
pub(super) fn listing(threads: &[ThreadNow], crashed: i32) -> Vec<String> {
    let lines = ordered(threads, crashed).flat_map(|thread| thread.lines(true));
    [String::new()].into_iter().chain(lines).collect()
}

fn ordered(threads: &[ThreadNow], crashed: i32) -> impl Iterator<Item = &ThreadNow> {
    let is_it = move |thread: &&ThreadNow| thread.tid == crashed;
    let others = threads.iter().filter(move |thread| thread.tid != crashed);
    threads.iter().filter(is_it).chain(others)
}
