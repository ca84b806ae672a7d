//! The fields of `%%rust`.

use diaphane_report::{Column, Rows, Schema, Show};

pub(super) const SCHEMA: Schema = Schema::new(&[Rows::new(COLUMNS, &[]).with("--time")], &[]);

#[rustfmt::skip]
pub(super) const COLUMNS: &[Column] = &[
    Column::new("cell", Show::Number, 2).means("the cell's number", "the kernel"),
    Column::new("compile_ns", Show::Time, 0).titled("compiled in").means("how long the compiler took; null for a cell that was compiled before", "the clock"),
    Column::new("bind_ns", Show::Time, 3).titled("borrowed in").means("how long it took to export and borrow the variables", "the clock"),
    Column::new("fork_ns", Show::Time, 0).titled("forked in").optional().means("how long it took to copy the arrays of -m and to fork; null without --isolated", "the clock"),
    Column::new("run_ns", Show::Time, 0).titled("ran in").means("how long the cell ran; null with --show", "the clock"),
    Column::new("back_ns", Show::Time, 0).titled("taken back in").optional().means("how long it took to take the results over; null without --isolated", "the clock"),
    Column::new("cached", Show::Flag, 0).titled("unchanged").means("whether the same cell was compiled before", "the cells of this kernel"),
    Column::new("library", Show::Path, 1).means("the library that was compiled from the cell", "the compiler's process"),
];
