//! The fields of `%stack`, and of `diaphane stack PID`. The views show the stacks as they are, without a table.

use diaphane_report::{Field, Rows, Schema, Show};

pub(super) const SCHEMA: Schema = Schema::new(
    &[Rows {
        with: "",
        columns: &[],
        fields: FIELDS,
    }],
    FACTS,
);

#[rustfmt::skip]
const FIELDS: &[Field] = &[
    Field::new("tid", Show::Number, "the thread's number (TID)", "/proc/PID/task"),
    Field::new("thread", Show::Text, "its name", "threading, else /proc/PID/task/TID/comm"),
    Field::new("state", Show::Text, "R runs, S sleeps, D waits for a device, T is stopped", "/proc/PID/task/TID/stat"),
    Field::new("depth", Show::Number, "how far the function is from the innermost one, which has 0", "the stack"),
    Field::new("kind", Show::Text, "python or native", "the interpreter's frames, the stack"),
    Field::new("function", Show::Text, "the function; null where no symbol covers the address", "the code object; the library's symbols"),
    Field::new("library", Show::Text, "the library of a native function", "the dynamic linker (link_map); of another process /proc/PID/maps"),
    Field::new("file", Show::Path, "the source file", "the code object; DWARF, where the library has debug information (gcc -g)"),
    Field::new("line", Show::Number, "the line that runs or calls", "the code object; DWARF"),
    Field::new("offset", Show::Number, "bytes from the beginning of a native function, or of the library where it has no name", "the stack"),
    Field::new("found", Show::Text, "exact, or guess where code without unwind information was crossed; null for a Python function", "the unwinder"),
    Field::new("gil", Show::Text, "whether the thread is its holder, is waiting for it, or none of both", "the interpreter's structures"),
    Field::new("stopped_ns", Show::Time, "how long the thread was stopped for the copy; null if it was not, and always in the own process", "the clock"),
];

#[rustfmt::skip]
const FACTS: &[Field] = &[
    Field::new("threads", Show::Number, "how many threads are shown", "the rows"),
    Field::new("pid", Show::Number, "of `diaphane stack PID`: the target process", "the command line"),
];
