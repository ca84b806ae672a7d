//! The fields of `%process_tree`.

use diaphane_report::{Column, Field, Rows, Schema, Show};

pub(super) const SCHEMA: Schema = Schema::new(&[Rows::new(COLUMNS, FIELDS)], FACTS);

#[rustfmt::skip]
pub(super) const COLUMNS: &[Column] = &[
    Column::new("tree", Show::Text, 0).titled("process").at_least(16).means("the name, behind lines that draw the tree", "name and depth"),
    Column::new("pid", Show::Number, 0).means("the process's number (PID)", "/proc/PID/stat"),
    Column::new("what", Show::Text, 0).means("what the process is, in words: multiprocessing's own processes by name", "/proc/PID/exe, cmdline"),
    Column::new("change", Show::Text, 1).optional().at_least(3).means("new if it was not there at the last look, else null", "the last %process_tree"),
    Column::new("end", Show::Text, 1).titled("ends it").optional().at_least(12).means("for one that has lost its parent, the line that ends it; null for others, which their parents end", "the process's number"),
    Column::new("threads", Show::Number, 0).means("how many threads it has", "/proc/PID/task"),
    Column::new("rss", Show::Bytes, 2).means("what it has in physical memory; null where Linux does not show it", "/proc/PID/smaps_rollup"),
    Column::new("private", Show::Bytes, 1).means("the pages of those that no other process has", "/proc/PID/smaps_rollup"),
    Column::new("shared", Show::Bytes, 1).means("the pages that other processes have too: a fresh fork shares nearly all", "/proc/PID/smaps_rollup"),
    Column::new("command", Show::List, 3).means("its arguments", "/proc/PID/cmdline"),
];

#[rustfmt::skip]
const FIELDS: &[Field] = &[
    Field::new("parent", Show::Number, "the PID of the process that started it", "/proc/PID/stat"),
    Field::new("depth", Show::Number, "how many processes stand above it in the tree", "/proc/PID/stat"),
    Field::new("name", Show::Text, "the process's name", "/proc/PID/stat"),
    Field::new("kind", Show::Text, "this kernel; a fork (the same program with the same arguments); another program; one that has ended and was not waited for", "/proc/PID/exe, cmdline"),
    Field::new("state", Show::Text, "what it does: run, sleep, ...", "/proc/PID/stat"),
    Field::new("lost_by", Show::Text, "for one that has lost its parent, or stands below such a one, how it is known to have been started here: session, process group, environment (the variable DIAPHANE_KERNEL), or arguments (a fork of the kernel has the kernel's); null for others", "getsid, getpgid, /proc/PID/environ, cmdline"),
    Field::new("pss", Show::Bytes, "what it has in physical memory, with each page divided among those that share it", "/proc/PID/smaps_rollup"),
];

#[rustfmt::skip]
const FACTS: &[Field] = &[
    Field::new("processes", Show::Number, "how many processes there are", "the rows"),
    Field::new("threads", Show::Number, "their threads", "the rows"),
    Field::new("private", Show::Bytes, "the sum of private", "the rows"),
    Field::new("lost", Show::Number, "processes that were started here and have lost their parents", "the rows"),
    Field::new("gone", Show::Number, "processes that ended since the last look", "the last %process_tree"),
];
