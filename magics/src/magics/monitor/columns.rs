//! The fields of `%monitor`.

use crate::recording::fields::ELAPSED_NS;
use diaphane_report::{Column, Field, Rows, Schema, Show};

pub(super) const SCHEMA: Schema = Schema::new(&[Rows::new(COLUMNS, FIELDS)], FACTS);

#[rustfmt::skip]
pub(super) const COLUMNS: &[Column] = &[
    Column::new("name", Show::Text, 0).at_least(15).means("Python's name for the thread, else that of its pool or of Linux", "threading, the owner, comm"),
    Column::new("cpu_ns", Show::Time, 0).titled("cpu").means("CPU time since it was first seen; of a thread that was started meanwhile, since it began", "the thread's clock"),
    Column::new("cpu_pct", Show::Number, 0).titled("cpu %").means("that in per cent of one CPU, on average over the whole time", "the thread's clock"),
    Column::new("over_time", Show::Text, 1).titled("over time").at_least(20).means("its use of one CPU in each piece of the time, as a row of blocks", "the thread's clock, every 100 ms"),
    Column::new("gil_pct", Show::Number, 2).titled("GIL %").optional().means("share of the looks at which it had the GIL, in per cent; null where there were fewer than 10", "the interpreter's lock, every 100 ms"),
    Column::new("owner", Show::Library, 3).optional().means("the library that the thread belongs to; null where it is not known", "the call of pthread_create, else the thread's descriptor or stack"),
    Column::new("package", Show::Text, 4).optional().means("the package of that library", "RECORD, conda-meta, /var/lib/dpkg"),
    Column::new("kind", Show::Text, 5).means("main, user, or pool for a thread of a native library's pool; null where it came and went between two looks at names", "name, owner and interpreter together"),
    Column::new("tid", Show::Number, 6).means("the thread's number (TID)", "/proc/self/task"),
];

#[rustfmt::skip]
const FIELDS: &[Field] = &[
    Field::new("first_ns", Show::Time, "when it was first seen, since the first look", "/proc/self/task, every 100 ms"),
    Field::new("last_ns", Show::Time, "when it was last seen", "/proc/self/task, every 100 ms"),
    Field::new("cpu_over_time", Show::List, "its use of one CPU in each of up to 60 pieces of the time, in per cent; null but for the 32 threads that used most", "the thread's clock, every 100 ms"),
];

#[rustfmt::skip]
pub(super) const FUNCTIONS: &[Column] = &[
    Column::new("function", Show::Name, 0).means("the innermost function that is neither the interpreter's nor the C library's", "the stack"),
    Column::new("samples", Show::Number, 0).means("at how many samples it was that", "a copy of the stack, every 500 ms"),
    Column::new("pct", Show::Number, 0).titled("%").means("those in per cent of all samples", "a copy of the stack, every 500 ms"),
    Column::new("library", Show::Library, 1).optional().means("the library of a native function", "the dynamic linker"),
    Column::new("place", Show::Text, 1).optional().means("the line that it is in; of a native function the innermost line of Python", "the interpreter's frames"),
];

#[rustfmt::skip]
const FACTS: &[Field] = &[
    ELAPSED_NS,
    Field::new("looks", Show::Number, "how often it was looked", "diaphane"),
    Field::new("interrupted", Show::Flag, "on a line: whether an interrupt ended it before its time", "the signal"),
    Field::new("usable_cpus", Show::Number, "how many CPUs the process may use", "sched_getaffinity, cgroup"),
    Field::new("cpu_ns", Show::Time, "what all threads used together, those too that have ended", "getrusage"),
    Field::new("own_cpu_ns", Show::Time, "the part of that which the kernel's own threads used, with the looking", "the threads' clocks"),
    Field::new("cpus_used", Show::Number, "CPUs used on average", "getrusage"),
    Field::new("cpus_most", Show::Number, "CPUs used at most between two points", "getrusage"),
    Field::new("rss", Show::Object, "physical memory at the first and at the last look, the least and the most: first, last, least, most", "/proc/self/statm, every 100 ms"),
    Field::new("gil", Show::Records, "who had the GIL at how many looks: tid, name, looks, pct; a tid of null is nobody, or a thread of the kernel's own", "the interpreter's lock, every 100 ms"),
    Field::new("samples", Show::Number, "how many stacks were taken of the thread that ran the code", "diaphane"),
    Field::new("functions", Show::Records, "what it ran then: function, library, kind, place, samples, pct", "copies of the stack, every 500 ms: this is coarse"),
    Field::new("over_time", Show::Records, "up to 120 points: end_ns since the first look, rss (the most), cpu_pct of one CPU, gil (the TID of who had it at most looks)", "as the other fields"),
];
