//! The fields of `%%native_prof`.

use diaphane_report::{Column, Field, Rows, Schema, Show};

use crate::recording::fields::{CHILDREN, CHILDREN_CPU_NS, ELAPSED_NS, QUEUED_NS};

pub(super) const SCHEMA: Schema = Schema::new(&[Rows::new(COLUMNS, FIELDS)], FACTS);

#[rustfmt::skip]
pub(super) const COLUMNS: &[Column] = &[
    Column::new("function", Show::Name, 0).at_least(20).means("a Python function or a native one, as people write it; code without a name counts by library", "the interpreter's frames, the library's symbols"),
    Column::new("self_pct", Show::Number, 0).titled("self %").optional().means("samples in which it was the innermost function, in per cent; null where there are fewer than 50 of the cell, which is too few for a share", "samples"),
    Column::new("total_pct", Show::Number, 1).titled("total %").optional().means("samples in which it was on the stack, in per cent; null as self_pct", "samples"),
    Column::new("place", Show::Text, 1).at_least(10).optional().means("where a Python function stands: In[3] or a file, with --lines with the line", "its code object"),
    Column::new("library", Show::Library, 3).at_least(14).means("the library of a native function; null for a Python function", "the dynamic linker (link_map)"),
    Column::new("kind", Show::Text, 2).at_least(9).means("Python with what the interpreter does for it, interpreter on threads without Python, extension, BLAS, OpenMP, Rust, libc, native; GIL wait and wait for time without a CPU; IPython for output and magics that the cell asked for", "the library, the name, the system call"),
    Column::new("samples", Show::Number, 4).means("how many samples self_pct is", "samples"),
    Column::new("threads", Show::Number, 5).means("on how many threads it was seen", "samples"),
];

#[rustfmt::skip]
const FIELDS: &[Field] = &[
    Field::new("total_samples", Show::Number, "how many samples total_pct is", "samples"),
    Field::new("file", Show::Path, "the file of a Python function; null for a native one", "its code object"),
    Field::new("symbol", Show::Text, "the name of a native function in its library's table, where function is another one", "the library's symbols"),
    Field::new("line", Show::Number, "the line that ran, with --lines; null without", "the interpreter's instruction"),
];

#[rustfmt::skip]
const FACTS: &[Field] = &[
    Field::new("hz", Show::Number, "how many samples a second were asked for", "the line"),
    Field::new("clock", Show::Text, "what a sample stands for: as the option --wall or --cpu, or without", "the line"),
    Field::new("samples", Show::Number, "how many samples there are of the cell; the shares are of these", "the sampler"),
    Field::new("around", Show::Number, "samples that are left out: of IPython and the kernel, before, after and around the cell", "the interpreter's frames"),
    Field::new("display", Show::Number, "samples that are left out: of the display of the cell's value", "the interpreter's frames"),
    Field::new("unread", Show::Number, "samples that are left out: of the cell's thread, whose Python functions changed while they were read", "the interpreter's frames"),
    Field::new("runs", Show::Number, "how often the cell ran", "the line"),
    Field::new("cell_lines", Show::Records, "the lines of cells and the threads outside of them: place, line, cell (null for the one that ran), self_pct, total_pct, samples, source, did", "the interpreter's frames, the cell's text"),
    Field::new("lost", Show::Number, "samples for which there was no slot", "the sampler"),
    Field::new("late", Show::Number, "samples that were due while the thread had no CPU", "the sampler"),
    Field::new("unwind_truncated_pct", Show::Number, "samples whose stack does not reach the thread's first function, in per cent", "the unwinder"),
    Field::new("joined_pct", Show::Number, "samples in which assembly without unwind information was crossed by a return address that fits, in per cent", "the unwinder"),
    Field::new("gil_wait_pct", Show::Number, "samples that waited for the GIL, in per cent", "samples"),
    Field::new("python_unplaced_pct", Show::Number, "samples whose Python functions have no place in the native stack, in per cent", "samples"),
    ELAPSED_NS,
    QUEUED_NS,
    Field::new("sampler_cpu_ns", Show::Time, "the CPU time of sampling itself", "the clock of the sampling thread"),
    CHILDREN,
    CHILDREN_CPU_NS,
    Field::new("kinds", Show::Object, "samples of each kind", "samples"),
    Field::new("stacks", Show::Records, "the stacks with their number of samples: tid, thread, frames (the outermost first), count", "samples"),
    Field::new("labels", Show::Object, "of each function of these stacks the kind of its code", "the library, the name, the system call"),
    Field::new("files", Show::List, "the files that --svg, --speedscope and --collapsed wrote", "the line"),
];
