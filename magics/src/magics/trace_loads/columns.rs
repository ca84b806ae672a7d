//! The fields of `%%trace_loads`.

use diaphane_report::{Column, Field, Rows, Schema, Show};

use crate::libraries::fields::PACKAGE_VERSION;
use crate::recording::fields::ELAPSED_NS;

pub(super) const SCHEMA: Schema = Schema::new(
    &[
        Rows::new(COLUMNS, FIELDS),
        Rows::new(FILES, FILE_FIELDS).with("--files"),
        Rows::new(TREE, TREE_FIELDS).with("--tree"),
    ],
    FACTS,
);

#[rustfmt::skip]
pub(super) const COLUMNS: &[Column] = &[
    Column::new("t_ns", Show::Time, 3).titled("at").means("when the library was mapped, from the start of the cell", "the function that the linker calls for debuggers (_dl_debug_state)"),
    Column::new("name", Show::Library, 0).at_least(20).means("the file's name", "the dynamic linker (link_map)"),
    Column::new("requester", Show::Name, 1).titled("caused by").at_least(20).means("what caused the load: `import numpy`, `ctypes`, `dlopen by f of libx`, `needed by liby`", "Python's audit events, calls of dlopen and their return addresses, DT_NEEDED"),
    Column::new("why", Show::Text, 5).titled("found by").means("the rule by which the file was found", "inferred: the rules of ld.so(8), compared with the real file"),
    Column::new("missed", Show::Number, 6).optional().means("how many files were tried in vain before", "as the fact opens_source says"),
    Column::new("total_ns", Show::Time, 4).titled("call").optional().means("the call, until the last initialiser has returned; null for a library that another one needed", "calls of dlopen, _dl_debug_state"),
    Column::new("init_ns", Show::Time, 2).titled("init").optional().means("how long the library's own initialisers ran, with what they loaded themselves; 0 where it has none, null where it was not measured", "a clock around the functions of DT_INIT_ARRAY"),
    Column::new("bytes", Show::Bytes, 3).means("the address space that it takes", "/proc/self/maps"),
    Column::new("result", Show::Text, 4).at_least(8).optional().means("unloaded before the cell ended; failed: something it needs was not found; not loaded: the call found nothing; null if it stayed", "the dynamic linker"),
    Column::new("package", Show::Text, 7).with("package_version").optional().means("the package that installed the file", "RECORD, conda-meta, /var/lib/dpkg"),
    Column::new("line", Show::Text, 8).optional().means("your line that was running", "the interpreter's frames at that moment"),
    Column::new("lazy", Show::Text, 9).titled("lazy import").optional().means("the lazy import whose name that line was the first to use; since Python 3.15", "the placeholder that the import statement left"),
    Column::new("search_ns", Show::Time, 9).titled("search").optional().means("from the call until the first file was found; null as total_ns", "calls of dlopen, _dl_debug_state"),
    Column::new("map_ns", Show::Time, 9).titled("map").optional().means("from then until all that it needs was mapped; null as total_ns", "_dl_debug_state"),
    Column::new("bind_ns", Show::Time, 9).titled("bind").optional().means("from then until relocations were done; null as total_ns", "_dl_debug_state, the first initialiser"),
    Column::new("base", Show::Address, 11).means("where its first segment begins", "the dynamic linker (link_map)"),
    Column::new("path", Show::Path, 10).means("the file's path; of a failed call what was asked for", "the dynamic linker (link_map); the call of dlopen"),
];

#[rustfmt::skip]
const FIELDS: &[Field] = &[
    Field::new("event", Show::Text, "map, or dlopen for a call that loaded nothing", "diaphane"),
    PACKAGE_VERSION,
    Field::new("needed_by", Show::Text, "the library that needs it", "DT_NEEDED"),
    Field::new("chain", Show::List, "the modules that were being imported, the outermost first", "Python's audit events"),
    Field::new("missed_files", Show::List, "the files that were tried in vain before", "as the fact opens_source says"),
    Field::new("dur_ns", Show::Time, "the duration of this event: total_ns, else init_ns", "the same"),
    Field::new("tid", Show::Number, "the thread that loaded it", "the thread itself"),
    Field::new("source", Show::Text, "hook, or list where the linker could not be hooked", "diaphane"),
];

/// With `--files`: a file that was tried.
#[rustfmt::skip]
pub(super) const FILES: &[Column] = &[
    Column::new("t_ns", Show::Time, 3).titled("at").means("when the file was opened, from the start of the cell", "the system call; null where the opens are inferred"),
    Column::new("path", Show::Path, 0).means("the file that was tried", "the system call, else inferred by the rules of ld.so(8)"),
    Column::new("result", Show::Text, 1).means("found, or the name of the error, as ENOENT", "the system call, else inferred"),
    Column::new("dur_ns", Show::Time, 4).titled("took").optional().means("how long the open took", "the system call; null where the opens are inferred"),
    Column::new("requester", Show::Name, 2).titled("for").at_least(16).means("the library that it was tried for", "the linker events around it"),
    Column::new("source", Show::Text, 5).means("syscall or inferred", "diaphane"),
];

#[rustfmt::skip]
const FILE_FIELDS: &[Field] = &[
    Field::new("event", Show::Text, "open", "diaphane"),
    Field::new("why", Show::Text, "the rule by which the file was tried", "inferred: the rules of ld.so(8)"),
    Field::new("fd", Show::Number, "the descriptor; null if the open failed", "the system call"),
];

/// With `--tree`: an import or a library, below what caused it.
#[rustfmt::skip]
pub(super) const TREE: &[Column] = &[
    Column::new("name", Show::Name, 0).at_least(30).means("the import or the library", "Python's audit events, the dynamic linker"),
    Column::new("took_ns", Show::Time, 1).titled("took").optional().means("the whole call of a library that was asked for, the initialisers of one that was needed, the sum of what is below of an import", "as total_ns and init_ns"),
    Column::new("init_ns", Show::Time, 3).titled("init").optional(),
    Column::new("bytes", Show::Bytes, 4),
    Column::new("missed", Show::Number, 5).optional(),
    Column::new("why", Show::Text, 2).titled("found by").at_least(16),
    Column::new("result", Show::Text, 6).optional(),
];

#[rustfmt::skip]
const TREE_FIELDS: &[Field] = &[
    Field::new("id", Show::Number, "the row's number", "diaphane"),
    Field::new("parent", Show::Number, "the id of what caused it; null at the top", "as requester"),
    Field::new("event", Show::Text, "import, map or dlopen", "diaphane"),
    Field::new("path", Show::Path, "the file's path", "the dynamic linker (link_map)"),
];

#[rustfmt::skip]
const FACTS: &[Field] = &[
    Field::new("counts", Show::Object, "libraries, unloaded, bytes, calls and calls_failed of dlopen, opens and opens_failed, the linker's own among them; processes and threads that were started, null where system calls are not seen", "the rows, the system calls"),
    ELAPSED_NS,
    Field::new("source", Show::Text, "hook, or list where the linker could not be hooked", "diaphane"),
    Field::new("opens_source", Show::Text, "syscall where the opens were seen, inferred where they are computed again by the linker's rules", "diaphane"),
];
