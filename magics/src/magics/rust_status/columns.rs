//! The fields of `%rust_status`.

use diaphane_report::{Column, Field, Rows, Schema, Show};

pub(super) const SCHEMA: Schema = Schema::new(&[Rows::new(COLUMNS, &[])], FACTS);

#[rustfmt::skip]
pub(super) const COLUMNS: &[Column] = &[
    Column::new("kind", Show::Text, 0).means("fn, struct, use and the like; dependency; kept (a variable of --keep)", "the compiler's process; kept ones this process"),
    Column::new("name", Show::Text, 0).means("the name, of a kept variable with its type, of a dependency with its version", "the same"),
    Column::new("cell", Show::Number, 0).means("the cell that it is from; null for a dependency", "the same"),
];

#[rustfmt::skip]
const FACTS: &[Field] = &[
    Field::new("rustc", Show::Text, "the compiler's version; not with --here", "the compiler's process"),
    Field::new("folder", Show::Path, "where cells are compiled; not with --here", "the compiler's process"),
    Field::new("std_sources", Show::Flag, "whether the sources of the standard library are there; not with --here", "the compiler's process"),
    Field::new("cells", Show::Number, "how many cells were compiled; not with --here", "the compiler's process"),
    Field::new("tainted", Show::Object, "the fault that tainted the kernel: cell, fault, faults (how many); null if there was none", "the handler of the fault"),
];
