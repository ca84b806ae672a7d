//! The fields of `%native_delta`.

use diaphane_report::{Column, Field, Rows, Schema, Show};

pub(super) const SCHEMA: Schema = Schema::new(&[Rows::new(COLUMNS, FIELDS)], &[]);

#[rustfmt::skip]
pub(super) const COLUMNS: &[Column] = &[
    Column::new("cell", Show::Number, 0).means("the cell's number", "the kernel"),
    Column::new("libs_added", Show::List, 1).titled("loaded").optional().means("the libraries that were loaded", "the dynamic linker's list before and after"),
    Column::new("libs_removed", Show::List, 2).titled("unloaded").optional().means("the libraries that were unloaded", "the dynamic linker's list before and after"),
    Column::new("threads_added", Show::List, 1).titled("threads").optional().means("the owners of the threads that were created and still run", "/proc/self/task, and as in %threads"),
    Column::new("buffers_new", Show::List, 1).titled("buffers").optional().means("variables that hold an array with memory of its own which no variable held before", "NumPy's C struct"),
    Column::new("rss", Show::Change, 0).means("of what is in physical memory", "/proc/self/statm"),
    Column::new("anon", Show::Change, 4).titled("of it anonymous").means("of the part that belongs to no file", "/proc/self/statm"),
    Column::new("huge", Show::Change, 5).titled("of it huge").optional().means("of what lies in huge pages; null where rss changed by less than 2 MiB", "/proc/self/smaps_rollup"),
    Column::new("beside", Show::List, 0).titled("ran beside").optional().means("the cells that ran at the same time, whose memory, CPU time and page faults are counted too", "the kernel"),
    Column::new("unclear", Show::List, 1).titled("its own or theirs").optional().means("libraries and threads that came or went, of which nobody knows whether with this cell or one beside it", "as those above"),
    Column::new("wall_ns", Show::Time, 0).titled("time").means("how long the cell ran", "the clock"),
    Column::new("cpu_ns", Show::Time, 0).titled("cpu").means("the CPU time of all threads", "getrusage"),
    Column::new("minor_faults", Show::Number, 3).titled("faults").means("page faults that were served without a disk", "getrusage"),
    Column::new("major_faults", Show::Number, 6).titled("from disk").means("page faults that had to read a disk", "getrusage"),
];

#[rustfmt::skip]
const FIELDS: &[Field] = &[
    Field::new("buffers_new_bytes", Show::Bytes, "the memory of these arrays", "NumPy's C struct"),
    Field::new("flushes_subnormals", Show::Flag, "whether the thread of the cell takes subnormal numbers for zero; null on other processors than x86-64", "the register MXCSR"),
    Field::new("flushing_changed", Show::Flag, "whether the cell changed that", "the register MXCSR"),
];
