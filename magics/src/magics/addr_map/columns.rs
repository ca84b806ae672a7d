//! The fields of `%addr_map`.

use diaphane_report::{Column, Field, Rows, Schema, Show};

pub(super) const SCHEMA: Schema = Schema::new(
    &[
        Rows::new(COLUMNS, FIELDS),
        Rows::new(AT, AT_FIELDS).with("--at ADDR"),
    ],
    FACTS,
);

/// Of regions, of sums and of differences: each has the fields that it can have.
#[rustfmt::skip]
pub(super) const COLUMNS: &[Column] = &[
    Column::new("change", Show::Text, 1).optional().means("with --diff: new, gone or changed", "the last %addr_map"),
    Column::new("lo", Show::Address, 2).titled("start").optional().means("the first address of the region; not with --group", "/proc/self/smaps, else maps"),
    Column::new("hi", Show::Address, 9).titled("end").optional().means("the address behind its last byte; not with --group", "/proc/self/smaps, else maps"),
    Column::new("regions", Show::Number, 6).optional().means("with --group: how many regions were added up", "the regions"),
    Column::new("kind", Show::Text, 0).optional().means("code and data of libraries, heap, thread arena, stack, array, file, shared, jit (executable without a file), pool (of Arrow's allocators), kernel, reserved (guard pages and the like), anonymous", "the region's name, the linker, the C library's descriptors of threads, malloc's header, your arrays"),
    Column::new("owner", Show::Library, 0).at_least(16).optional().means("the library, the thread of the stack, the variables that fill the region and what keeps them, or the pool", "the linker, the C library, your variables and all that they hold, the notes of Arrow's allocators"),
    Column::new("perms", Show::Text, 5).optional().means("r, w, x for what may be done with it, p for private or s for shared; not with --group", "/proc/self/smaps, else maps"),
    Column::new("size", Show::Bytes, 1).means("the address space that it takes", "lo and hi"),
    Column::new("size_delta", Show::Change, 1).titled("size change").optional().means("with --diff: bytes that came or went", "the last %addr_map"),
    Column::new("rss", Show::Bytes, 1).optional().means("what is in physical memory", "/proc/self/pagemap, else /proc/self/smaps"),
    Column::new("rss_delta", Show::Change, 1).titled("rss change").optional().means("with --diff: the change of rss in bytes", "the last %addr_map"),
    Column::new("pss", Show::Bytes, 7).optional().means("what is in physical memory, with each page divided among those that share it; null without --pss", "/proc/self/smaps"),
    Column::new("huge", Show::Bytes, 6).optional().means("what is in huge pages", "/proc/self/pagemap, else /proc/self/smaps"),
    Column::new("swap", Show::Bytes, 8).optional().means("what is swapped out", "/proc/self/pagemap, else /proc/self/smaps"),
    Column::new("name", Show::Path, 10).optional().means("what Linux calls it: a file, or a word in brackets; not with --group", "/proc/self/smaps, else maps"),
];

#[rustfmt::skip]
const FIELDS: &[Field] = &[
    Field::new("arrays", Show::List, "the variables whose buffers touch the region; but for the heap and thread arenas also what variables hold, and the bases of views", "as in %buffer_addr"),
];

/// What lies at one address.
#[rustfmt::skip]
pub(super) const AT: &[Column] = &[
    Column::new("address", Show::Address, 0).means("the address that was asked for", "the line"),
    Column::new("kind", Show::Text, 0),
    Column::new("owner", Show::Library, 0).at_least(16),
    Column::new("symbol", Show::Name, 1).at_least(16).optional().means("the symbol of the library that covers it", ".symtab of the file, else the exported names"),
    Column::new("offset", Show::Number, 1).optional().means("bytes from the beginning of the symbol, of the array or of the region", "the address"),
    Column::new("perms", Show::Text, 3),
    Column::new("lo", Show::Address, 2).titled("start"),
    Column::new("hi", Show::Address, 4).titled("end"),
];

#[rustfmt::skip]
const AT_FIELDS: &[Field] = &[
    Field::new("name", Show::Path, "what Linux calls the region", "PROCMAP_QUERY (Linux 6.11), else /proc/self/maps"),
];

#[rustfmt::skip]
const FACTS: &[Field] = &[
    Field::new("totals", Show::Records, "the rows of --group kind", "the regions"),
    Field::new("malloc", Show::Object, "what malloc says of itself: arena (asked of Linux), in_use, free, mmap (large blocks) in bytes, and each of the arenas", "malloc_info"),
    Field::new("pools", Show::Records, "Arrow's memory pools that have been used: backend, default, used and held in bytes (held is null where its mappings are not recognised), give_back (the line that returns what is not used)", "pyarrow, the notes of Arrow's allocators, /proc/self/pagemap"),
    Field::new("limits_of_memory", Show::Records, "the memory limits that are set: name, limit, used in bytes", "cgroup, getrlimit"),
    Field::new("max_map_count", Show::Number, "how many regions a process may have", "/proc/sys/vm/max_map_count"),
    Field::new("at", Show::Address, "with --at: the address", "the line"),
];
