//! The fields of `%%native_calls`.

use diaphane_report::{Column, Field, Rows, Schema, Show};

pub(super) const SCHEMA: Schema = Schema::new(&[Rows::new(COLUMNS, FIELDS)], FACTS);

#[rustfmt::skip]
pub(super) const COLUMNS: &[Column] = &[
    Column::new("func", Show::Name, 0).titled("function").with("place").means("the function", "the symbol that its address lies in; of C functions Python's own name"),
    Column::new("calls", Show::Number, 1).means("how often it was entered; null where entries were not counted", "hooks, Python's reports"),
    Column::new("total_ns", Show::Time, 0).titled("time").means("the time in it and in all that it called", "the time stamp counter: exact for Python's functions and what they call, else from an entry to the thread's next event"),
    Column::new("lib", Show::Library, 2).titled("library").means("its library, or Python", "the dynamic linker (link_map)"),
    Column::new("args", Show::Text, 1).titled("with").at_least(40).optional().means("what the first call was given, in words; null without --args", "the registers and the stack at the entry, tables of signatures, the tables of ufuncs"),
    Column::new("helpers", Show::Text, 3).titled("and calls").optional().means("calls into the C library and Python's C interface that called nothing else; --all shows them as rows", "hooks"),
];

#[rustfmt::skip]
const FIELDS: &[Field] = &[
    Field::new("id", Show::Number, "the row's number; calls of the same function at the same place of the tree are one row", "diaphane"),
    Field::new("parent", Show::Number, "the id of its caller; null at the top", "the order of events; return addresses"),
    Field::new("depth", Show::Number, "how many callers it has in the tree", "the tree"),
    Field::new("via", Show::Text, "python, c call (Python reports it), operator, call (a hook), ufunc loop, caller (known by its return address only), thread", "diaphane"),
    Field::new("place", Show::Text, "where a Python function begins, or where in your code an operator, a subscript or a call stands", "the code object; the interpreter's instruction at the native call"),
    Field::new("self_ns", Show::Time, "the time in it without what it called; null where it was not measured", "as total_ns"),
    Field::new("thread", Show::Number, "the thread's number (TID)", "the thread itself"),
    Field::new("arguments", Show::Records, "the same as args, as fields: name, value, and of memory addr, bytes, access, buffer (the array's name), offset and state", "as args"),
    Field::new("bytes", Show::Bytes, "the sizes of what all calls read and write; null without --args", "the arguments"),
    Field::new("flop", Show::Number, "the floating-point operations that follow from the sizes, of LAPACK the leading terms; null without --args", "the arguments"),
    Field::new("gflops", Show::Number, "flop in a nanosecond of total_ns; null without --args", "flop and total_ns"),
];

#[rustfmt::skip]
const FACTS: &[Field] = &[
    Field::new("overhead", Show::Object, "events, lost events, muted ones (of imports), event_ns (the measured cost of a hook), reports and report_ns (how often Python reported, and the measured cost), cost_ns (of all that), elapsed_ns, covered_ns (of which the tree tells), hooks, on_ns and off_ns (how long it took to place and to remove them), pause_ns (with --deep: the longest time for which the other threads were stopped)", "the clock"),
];

/// Below the tree.
#[rustfmt::skip]
pub(super) const BY_FUNCTION: &[Column] = &[
    Column::new("func", Show::Name, 0).titled("function"),
    Column::new("lib", Show::Library, 1).titled("library"),
    Column::new("calls", Show::Number, 0),
    Column::new("self_ns", Show::Time, 0).titled("own time"),
];
#[rustfmt::skip]
pub(super) const BY_LIBRARY: &[Column] = &[
    Column::new("lib", Show::Library, 0).titled("library"),
    Column::new("functions", Show::Number, 1).means("how many of its functions ran", "the tree"),
    Column::new("calls", Show::Number, 0),
    Column::new("self_ns", Show::Time, 0).titled("own time"),
];
