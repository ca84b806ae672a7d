//! The fields of `%stack`, and of `diaphane stack PID`. The views show the stacks as they are, without a table.

use diaphane_report::{Field, Rows, Schema, Show};

use crate::stacks::fields;

pub(super) const SCHEMA: Schema = Schema::new(&[Rows::new(&[], FIELDS)], FACTS);

#[rustfmt::skip]
const FIELDS: &[Field] = &[
    fields::TID,
    Field::new("thread", Show::Text, "its name", "threading, else /proc/PID/task/TID/comm"),
    Field::new("state", Show::Text, "R runs, S sleeps, D waits for a device, T is stopped", "/proc/PID/task/TID/stat"),
    fields::DEPTH,
    fields::KIND,
    fields::FUNCTION,
    Field::new("library", Show::Text, "the library of a native function", "the dynamic linker (link_map); of another process /proc/PID/maps"),
    fields::FILE,
    fields::LINE,
    fields::OFFSET,
    fields::FOUND,
    fields::GIL,
    Field::new("stopped_ns", Show::Time, "how long the thread was stopped for the copy; null if it was not, and always in the own process", "the clock"),
];

#[rustfmt::skip]
const FACTS: &[Field] = &[
    Field::new("threads", Show::Number, "how many threads are shown", "the rows"),
    Field::new("pid", Show::Number, "of `diaphane stack PID`: the target process", "the command line"),
];
