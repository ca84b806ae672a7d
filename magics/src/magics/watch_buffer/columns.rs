//! The fields of `%%watch_buffer`.

use crate::recording::fields::ELAPSED_NS;
use diaphane_report::{Column, Field, Rows, Schema, Show};

pub(super) const SCHEMA: Schema = Schema::new(&[Rows::new(COLUMNS, FIELDS)], FACTS);

#[rustfmt::skip]
pub(super) const COLUMNS: &[Column] = &[
    Column::new("number", Show::Number, 3).titled("#").means("its place among all, counted from 0; of several the first one's", "the processor's watchpoint"),
    Column::new("element", Show::Text, 2).means("what was written, as the line of the magic calls it", "the line"),
    Column::new("place", Show::Text, 0).titled("line").at_least(10).optional().means("the innermost line of the cell that was running, as In[3]:2; else that of the innermost Python function; null on a thread without Python", "the frames of the thread at that moment"),
    Column::new("through", Show::Text, 1).optional().means("the innermost Python function that this line called, and its line", "the frames of the thread at that moment"),
    Column::new("old", Show::Text, 0).means("the value before", "the memory, at the hit before or when the watch began"),
    Column::new("new", Show::Text, 0).means("the value afterwards; of several the last one's", "the memory, in the signal's handler"),
    Column::new("count", Show::Number, 1).optional().means("how many follow on each other with the same line, function and thread", "the rows"),
    Column::new("function", Show::Name, 0).at_least(16).means("the innermost function that is neither the interpreter's nor the C library's: a native one, or Python's where the interpreter itself wrote", "the unwound stack, the libraries' symbols"),
    Column::new("library", Show::Library, 1).optional().means("the library of a native function; null for a Python function", "the dynamic linker (link_map)"),
    Column::new("thread", Show::Text, 2).optional().means("Python's name of the thread, else Linux's; TID and its number where it ended before anyone could ask", "threading, /proc/self/task/TID/comm"),
    Column::new("at_ns", Show::Time, 4).titled("at").means("when, since the cell began", "the monotonic clock"),
];

#[rustfmt::skip]
const FIELDS: &[Field] = &[
    Field::new("what", Show::Text, "write; with --read also touch: a read, or a write of the same value, which x86 does not tell apart", "the option, the two values"),
    Field::new("tid", Show::Number, "the thread's number (TID)", "the thread itself"),
    Field::new("source", Show::Text, "the text of a line of the cell", "the cell"),
    Field::new("old_bits", Show::Text, "the bytes before as a number in hexadecimal", "as old"),
    Field::new("new_bits", Show::Text, "the bytes afterwards", "as new"),
    Field::new("is_late", Show::Flag, "whether the thread blocked SIGTRAP when it wrote, so that line and function are those of a later moment", "siginfo (TRAP_PERF_FLAG_ASYNC)"),
    Field::new("stack", Show::Records, "the functions, the innermost first: kind, function, library, file, line, offset, found", "a copy of the registers and the stack"),
];

#[rustfmt::skip]
const FACTS: &[Field] = &[
    ELAPSED_NS,
    Field::new("watched", Show::Records, "the elements: name, addr, length in bytes, dtype, and their value at the end, null where the memory was freed; elsewhere is the value that the name leads to by now, where it leads to other memory", "NumPy's structure or the buffer protocol"),
    Field::new("hits", Show::Number, "how often they were touched, as long as the watch was on", "the processor's watchpoints"),
    Field::new("lost", Show::Number, "hits for whose copy of the stack there was no room", "diaphane"),
    Field::new("ended_early", Show::Flag, "whether there were as many as --most allows, so that the watch ended before the cell", "diaphane"),
];
