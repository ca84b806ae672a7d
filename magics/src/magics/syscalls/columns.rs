//! The fields of `%%syscalls`.

use diaphane_report::{Column, Field, Rows, Schema, Show};

use crate::recording::fields::ELAPSED_NS;

pub(super) const SCHEMA: Schema = Schema::new(
    &[
        Rows::new(GROUPED, &[ERROR_NAMES]),
        Rows::new(LISTED, EACH).with("--list or --strace"),
    ],
    FACTS,
);

/// What calls have in common.
#[rustfmt::skip]
pub(super) const GROUPED: &[Column] = &[
    Column::new("call", Show::Text, 0).optional().means("the system call's name; null where --by puts several into one row", "the handler of Syscall User Dispatch"),
    Column::new("tid", Show::Number, 0).optional().means("the thread; null where --by puts several into one row", "the handler"),
    Column::new("path", Show::Path, 1).optional().means("the path that the call names; null without --by path", "the arguments in memory"),
    Column::new("python", Show::Name, 0).titled("function").at_least(20).optional().means("the innermost Python function; only for the cell's thread", "the interpreter's frames at the call"),
    Column::new("calls", Show::Number, 0).means("how many calls", "the handler"),
    Column::new("errors", Show::Number, 3).means("how many of them failed; null where only audit events are seen", "the handler"),
    Column::new("total_ns", Show::Time, 0).titled("time").means("the time in Linux, waiting included; without calls that start a thread or a child which borrows the memory, whose time is not kept", "the processor's time stamp counter"),
    Column::new("mean_ns", Show::Time, 5).titled("mean").means("the same for one call", "the time stamp counter"),
    Column::new("max_ns", Show::Time, 6).titled("longest").means("the same for the longest one", "the time stamp counter"),
    Column::new("library", Show::Library, 1).titled("made by").at_least(14).optional().means("the library that called the C library or the linker; these themselves where nobody called them", "the copied registers and stack, unwound"),
    Column::new("place", Show::Text, 2).titled("line").at_least(9).optional().means("the line of the cell, else of the innermost Python function; of several the most frequent", "the interpreter's frames at the call"),
];

const ERROR_NAMES: Field = Field::new(
    "error_names",
    Show::List,
    "the names of the errors, as ENOENT",
    "the handler",
);

/// Each call.
#[rustfmt::skip]
pub(super) const LISTED: &[Column] = &[
    Column::new("began_ns", Show::Time, 3).titled("at").means("when it was made, from the start of the cell", "the time stamp counter"),
    Column::new("tid", Show::Number, 6).means("the thread", "the handler"),
    Column::new("call", Show::Text, 0).means("the system call's name", "the handler"),
    Column::new("arguments", Show::Text, 0).means("its arguments as strace writes them: paths up to 1024 bytes, buffers up to 32", "the registers, and the memory that Linux has read or written"),
    Column::new("result", Show::Text, 1).means("its result as strace writes it", "the handler"),
    Column::new("took_ns", Show::Time, 4).titled("took").means("the time in Linux, waiting included; null for calls that start a thread or a child", "the time stamp counter"),
    Column::new("library", Show::Library, 5).titled("made by"),
    Column::new("place", Show::Text, 2).at_least(9).optional(),
];

#[rustfmt::skip]
const EACH: &[Field] = &[
    Field::new("index", Show::Number, "its place among all calls", "the handler"),
    Field::new("error", Show::Text, "the name of the error; null if it succeeded", "the handler"),
    Field::new("function", Show::Text, "the function of that library", "the copied registers and stack, unwound"),
    Field::new("python", Show::Text, "the innermost Python function; only for the cell's thread", "the interpreter's frames at the call"),
];

#[rustfmt::skip]
const FACTS: &[Field] = &[
    Field::new("source", Show::Text, "syscall user dispatch, or audit events where Linux or a sandbox does not dispatch calls", "diaphane"),
    Field::new("calls", Show::Number, "how many calls were made", "the handler, else audit events"),
    Field::new("shown", Show::Number, "how many of them --trace selects", "the rows"),
    ELAPSED_NS,
    Field::new("files", Show::Records, "each open: path, error, writes (whether it was opened for writing), began_ns, took_ns, tid", "the handler"),
    Field::new("started", Show::Records, "processes and threads that were started: kind, id (null if the call had not returned), by (the thread that started it), began_ns, followed (whether its own calls are recorded)", "the handler"),
    Field::new("threads", Show::List, "the threads whose calls were recorded", "the handler"),
    Field::new("lost", Show::Number, "calls that were not recorded because the buffer was full", "the handler"),
];
