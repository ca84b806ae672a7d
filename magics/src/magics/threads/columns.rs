//! The fields of `%threads`.

use crate::recording::fields::{CHILDREN, CHILDREN_CPU_NS};
use diaphane_report::{Column, Field, Rows, Schema, Show};

pub(super) const SCHEMA: Schema = Schema::new(
    &[
        Rows::new(COLUMNS, FIELDS),
        Rows {
            with: "--children",
            columns: CHILD_COLUMNS,
            fields: CHILD_FIELDS,
        },
        Rows {
            with: "above a cell",
            columns: CELL_COLUMNS,
            fields: CELL_FIELDS,
        },
    ],
    FACTS,
);

#[rustfmt::skip]
pub(super) const CHILD_COLUMNS: &[Column] = &[
    Column::new("name", Show::Text, 0).at_least(15),
    Column::new("state", Show::Text, 2),
    Column::new("gil", Show::Text, 3).optional(),
    Column::new("top_frame", Show::Name, 1).titled("runs"),
    Column::new("python", Show::Name, 1).titled("in Python").optional().means("its innermost function of Python", "the interpreter's frames"),
    Column::new("tid", Show::Number, 4),
];

#[rustfmt::skip]
const CHILD_FIELDS: &[Field] = &[
    Field::new("worker", Show::Text, "the process, or in how many of them the thread is alike", "diaphane"),
    Field::new("workers", Show::List, "those processes; null for all", "diaphane"),
];

#[rustfmt::skip]
pub(super) const CELL_COLUMNS: &[Column] = &[
    Column::new("tid", Show::Number, 0),
    Column::new("name", Show::Text, 0).at_least(15).means("Python's name for it; else the function that it was started for, its pool, or comm", "threading, the interpreter's frames, the owner"),
    Column::new("kind", Show::Text, 1),
    Column::new("pool", Show::Text, 2).optional().means("the pool that it belongs to: a native library's, or an executor of Python's; null for none", "the owner; the interpreter's frames"),
    Column::new("cpu_ns", Show::Time, 0).titled("cpu").means("CPU time while the cell ran", "the thread's clock"),
    Column::new("cpu_pct", Show::Number, 0).titled("cpu %").means("that in per cent of the cell's time", "the thread's clock"),
    Column::new("gil_wait_pct", Show::Number, 3).titled("waits for GIL %").optional().means("share of the looks at which it waited for the GIL, in per cent; null where there were fewer than 50", "the interpreter's lock, every 5 ms"),
    Column::new("first_ns", Show::Time, 4).titled("from").means("when it was first seen, since the cell began", "/proc/self/task, every 5 ms"),
    Column::new("last_ns", Show::Time, 5).titled("to").means("when it was last seen", "/proc/self/task, every 5 ms"),
];

#[rustfmt::skip]
const CELL_FIELDS: &[Field] = &[
    Field::new("is_new", Show::Flag, "whether it was started while the cell ran", "/proc/self/task"),
];

#[rustfmt::skip]
pub(super) const COLUMNS: &[Column] = &[
    Column::new("tid", Show::Number, 0).means("the thread's number (TID)", "/proc/self/task"),
    Column::new("name", Show::Text, 0).at_least(15).means("Python's name for it, else comm", "threading"),
    Column::new("kind", Show::Text, 1).means("main, python, kernel (diaphane's own), blas, openmp, arrow, rust (of a Rust cell), unknown", "name, owner and interpreter together"),
    Column::new("owner", Show::Library, 2).at_least(18).means("the library that the thread belongs to; null where it is not known", "as owner_confidence says"),
    Column::new("owner_package", Show::Text, 3).titled("package").optional().means("the package of that library", "RECORD, conda-meta, /var/lib/dpkg"),
    Column::new("cpu_ns", Show::Time, 4).titled("cpu").means("CPU time since it was created", "/proc/self/task/TID/schedstat, else stat"),
    Column::new("cpu_pct", Show::Number, 4).titled("cpu %").optional().means("use of one CPU, in per cent; null without --sample", "schedstat, sampled every 5 ms"),
    Column::new("state", Show::Text, 6).means("R runs, S sleeps, D waits for a device, T is stopped, Z has ended", "/proc/self/task/TID/stat"),
    Column::new("wait", Show::Text, 5).means("the system call in which it sleeps, or GIL; null while it runs", "/proc/self/task/TID/syscall; the interpreter's lock"),
    Column::new("gil", Show::Text, 7).optional().means("holder, waiting or none, at the moment of the question; null where it is not known", "the interpreter's own lock, read from memory"),
    Column::new("created_in", Show::Number, 8).titled("cell").optional().means("the number of the cell whose thread created it; null where several ran and it is not known", "the call of pthread_create; else the list before and after each cell"),
    Column::new("top_frame", Show::Name, 9).titled("runs").optional().means("the innermost function that is not the interpreter's or the C library's; null without --stack", "the stack"),
    Column::new("last_cpu", Show::Number, 10).titled("on").means("the CPU that it ran on last", "/proc/self/task/TID/stat"),
    Column::new("affinity", Show::Text, 12).titled("may run on").optional().means("the CPUs that it may run on", "/proc/self/task/TID/status"),
    Column::new("owner_confidence", Show::Text, 11).titled("owner by").means("how the owner is known: hook (the call of pthread_create was recorded), descriptor (the C library's descriptor of the thread), scan (its stack; this is no proof)", "diaphane"),
    Column::new("wait_channel", Show::Text, 13).titled("wait channel").optional().means("the function of Linux in which it sleeps", "/proc/self/task/TID/wchan"),
];

#[rustfmt::skip]
const FIELDS: &[Field] = &[
    Field::new("comm", Show::Text, "the name that Linux has for it, at most 15 letters", "/proc/self/task/TID/comm"),
    Field::new("start_function", Show::Text, "the function that it was started with", "as owner_confidence says"),
    Field::new("owner_path", Show::Path, "the file of that library", "the dynamic linker (link_map)"),
    Field::new("owner_package_version", Show::Text, "the version of that package", "RECORD, conda-meta, /var/lib/dpkg"),
    Field::new("created_by", Show::Number, "the TID of the thread that created it", "the call of pthread_create"),
    Field::new("gil_wait_pct", Show::Number, "share of the time in which it waits for the GIL, in per cent; null without --sample", "the interpreter's lock, sampled every 5 ms"),
    Field::new("ctx_switches", Show::Object, "how often it gave the CPU up (vol) and lost it (invol)", "/proc/self/task/TID/status"),
    Field::new("sigblk", Show::Text, "the mask of the signals that it blocks, hexadecimal", "/proc/self/task/TID/status"),
    Field::new("stack", Show::Records, "with --stack: its functions, the innermost first, with the fields of %stack from kind to found; with --locals the variables too", "a copy of the stack, unwound; the interpreter's frames"),
];

#[rustfmt::skip]
const FACTS: &[Field] = &[
    Field::new("pools", Show::Records, "the thread pools: library, path, package, runtime, api, version, corename, size (threads that compute, the caller included), live (threads there are, without the caller)", "the libraries' documented getters; the rows"),
    Field::new("cpus", Show::Object, "CPUs that are online, in the affinity mask, granted by the control group's quota (null without one), and usable", "/sys/devices/system/cpu, sched_getaffinity, cgroup"),
    Field::new("tasks", Show::Object, "the nearest limit on the number of threads: source, now, most; null where nothing limits", "cgroup, RLIMIT_NPROC"),
    Field::new("elapsed_ns", Show::Time, "above a cell: how long it ran", "the clock"),
    Field::new("looks", Show::Number, "above a cell: how often it was looked", "diaphane"),
    Field::new("created", Show::Number, "above a cell: how many threads were started", "the calls of pthread_create"),
    Field::new("unseen", Show::Number, "above a cell: how many of those had ended before a look", "the calls of pthread_create, /proc/self/task"),
    Field::new("most", Show::Number, "above a cell: how many threads there were at most, without the kernel's own", "/proc/self/task"),
    Field::new("most_working", Show::Number, "above a cell: how many threads at most used a CPU for a fifth of the time between two looks", "the threads' clocks, every 5 ms"),
    Field::new("mean_working", Show::Number, "above a cell: how many did on average", "the threads' clocks, every 5 ms"),
    Field::new("cpus_used", Show::Number, "above a cell: CPU time of all threads by the time of the cell", "the threads' clocks"),
    CHILDREN,
    CHILDREN_CPU_NS,
    Field::new("cpu_over_time", Show::List, "above a cell: the CPUs used in each of up to 60 pieces of the time", "the threads' clocks, every 5 ms"),
    Field::new("vanished", Show::Number, "threads that ended while they were looked at", "/proc/self/task"),
];
