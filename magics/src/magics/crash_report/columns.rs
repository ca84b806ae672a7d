//! The fields of `%crash_report`. The views show the stacks as they are; a comparison has a table.

use diaphane_report::{Column, Field, Rows, Schema, Show};

use crate::stacks::fields;

pub(super) const SCHEMA: Schema = Schema::new(&[Rows::new(COLUMNS, FIELDS)], FACTS);

/// Those by which two crashes are compared.
#[rustfmt::skip]
pub(super) const COLUMNS: &[Column] = &[
    Column::of(fields::FUNCTION, 0),
    Column::new("library", Show::Library, 1).means("the library of a native function", "/proc/PID/maps"),
    Column::of(fields::FILE, 2),
];

#[rustfmt::skip]
const FIELDS: &[Field] = &[
    fields::TID,
    Field::new("thread", Show::Text, "its name", "/proc/PID/task/TID/comm"),
    Field::new("crashed", Show::Flag, "whether this thread had the fault", "the signal handler"),
    Field::new("state", Show::Text, "R runs, S sleeps, D waits for a device", "/proc/PID/task/TID/stat"),
    fields::DEPTH,
    fields::KIND,
    fields::LINE,
    Field::new("cell", Show::Number, "the number of the cell whose line it is", "the black box"),
    fields::OFFSET,
    fields::FOUND,
    fields::GIL,
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
