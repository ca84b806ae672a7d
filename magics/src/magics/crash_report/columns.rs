//! The fields of `%crash_report`. The views show the stacks as they are; a comparison has a table.

use diaphane_report::{Column, Field, Rows, Schema, Show};

pub(super) const SCHEMA: Schema = Schema::new(
    &[Rows {
        with: "",
        columns: COLUMNS,
        fields: FIELDS,
    }],
    FACTS,
);

/// Those by which two crashes are compared.
#[rustfmt::skip]
pub(super) const COLUMNS: &[Column] = &[
    Column::new("function", Show::Text, 0)
        .means("the function; null where no symbol covers the address", "the code object; the library's symbols"),
    Column::new("library", Show::Text, 1)
        .means("the library of a native function", "/proc/PID/maps"),
    Column::new("file", Show::Path, 2)
        .means("the source file", "the code object; DWARF, where the library has debug information (gcc -g)"),
];

#[rustfmt::skip]
const FIELDS: &[Field] = &[
    Field::new("tid", Show::Number, "the thread's number (TID)", "/proc/PID/task"),
    Field::new("thread", Show::Text, "its name", "/proc/PID/task/TID/comm"),
    Field::new("crashed", Show::Flag, "whether this thread had the fault", "the signal handler"),
    Field::new("state", Show::Text, "R runs, S sleeps, D waits for a device", "/proc/PID/task/TID/stat"),
    Field::new("depth", Show::Number, "how far the function is from the innermost one, which has 0", "the stack"),
    Field::new("kind", Show::Text, "python or native", "the interpreter's frames, the stack"),
    Field::new("line", Show::Number, "the line that runs or calls", "the code object; DWARF"),
    Field::new("cell", Show::Number, "the number of the cell whose line it is", "the black box"),
    Field::new("offset", Show::Number, "bytes from the beginning of a native function, or of the library where it has no name", "the stack"),
    Field::new("found", Show::Text, "exact, or guess where code without unwind information was crossed; null for a Python function", "the unwinder"),
    Field::new("gil", Show::Text, "whether the thread is its holder, is waiting for it, or none of both", "the interpreter's structures"),
];

#[rustfmt::skip]
const FACTS: &[Field] = &[
    Field::new("headline", Show::Text, "what happened, in a line; null where no kernel has died", "the other facts"),
    Field::new("at_ms", Show::Number, "when it was noticed, in milliseconds of Unix time", "the clock"),
    Field::new("pid", Show::Number, "the process that died", "the black box"),
    Field::new("cell", Show::Number, "the number of the cell that ran", "the black box"),
    Field::new("code", Show::Text, "the beginning of its code", "the black box"),
    Field::new("signal", Show::Text, "the signal; null where the process had no last word", "the signal handler (siginfo)"),
    Field::new("signal_code", Show::Number, "what the signal says of its cause (si_code)", "the signal handler (siginfo)"),
    Field::new("tid", Show::Number, "the thread that had the fault", "the signal handler"),
    Field::new("address", Show::Address, "the address of a memory fault", "the signal handler (siginfo)"),
    Field::new("access", Show::Text, "read, write or execute", "the processor's error code"),
    Field::new("place", Show::Text, "what the address is: null, stack overflow, file, inside an array, freed array, outside of an array, unloaded library, read-only, not code, guard page, no access, unmapped", "/proc/PID/maps, the user's variables, the black box"),
    Field::new("message", Show::Text, "why the process aborted", "the standard error"),
    Field::new("instruction", Show::Text, "the instruction of a fault", "the code in memory"),
    Field::new("instruction_address", Show::Address, "where it is", "the signal handler"),
    Field::new("registers", Show::Object, "the general registers by DWARF's numbers", "the signal handler"),
    Field::new("sentences", Show::Object, "what is said about it", "the other facts"),
    Field::new("status", Show::Number, "the status of a process that ended by exit", "the black box"),
    Field::new("memory", Show::Object, "of a process without a last word: used, limit, name of the limit, arrays (the largest ones), kills (how often the control group ran out of memory since the process began)", "the black box, the control group"),
];
