//! The fields of `%memory`.

use diaphane_report::{Column, Field, Rows, Schema, Show};

pub(super) const SCHEMA: Schema = Schema::new(
    &[
        Rows::new(COLUMNS, &[]),
        Rows::new(CHANGES, &[]).with("a cell below"),
    ],
    FACTS,
);

/// A line that is to be copied is shown whole or not at all.
const WHOLE: usize = usize::MAX;

#[rustfmt::skip]
pub(super) const COLUMNS: &[Column] = &[
    Column::new("what", Show::Text, 0).at_least(20).means("the variable, package or allocator, or what the memory is for", "your variables, sys.modules, the regions"),
    Column::new("rss", Show::Bytes, 0).titled("in memory").means("what is in physical memory; all rows add up to the resident set size", "PAGEMAP_SCAN, else smaps; of small objects their sizes"),
    Column::new("share", Show::Number, 2).titled("%").optional().means("the part of the whole, in percent", "rss"),
    Column::new("kind", Show::Text, 3).means("variable, history (Out, the last error), package data, kernel, Python code, free in allocators, libraries, files, stacks, or not told apart", "who holds it"),
    Column::new("give_back", Show::Text, 1).titled("give back").at_least(WHOLE).optional().means("what gives it back, or that nothing does", "what it is"),
    Column::new("also", Show::Text, 3).titled("also held by").optional().means("who else holds a tenth of it or more, so that it is not given back as long as they do; Out is what IPython keeps of cells", "the traversal of objects, the buffers"),
    Column::new("type", Show::Text, 5).optional().means("the variable's type", "the object"),
    Column::new("objects", Show::Number, 6).optional().means("how many Python objects it holds that nobody nearer holds", "the traversal of objects"),
    Column::new("size", Show::Bytes, 4).optional().means("its size, whether it is in physical memory or not", "sys.getsizeof of what it holds, and its buffers; of free memory, malloc and the pools"),
    Column::new("buffers", Show::Bytes, 7).optional().means("of the size, what is memory of arrays and other buffers", "the buffers"),
];

#[rustfmt::skip]
pub(super) const CHANGES: &[Column] = &[
    Column::new("what", Show::Text, 0).at_least(20),
    Column::new("change", Show::Change, 0).means("what is more or less in physical memory after the cell", "rss and rss_before"),
    Column::new("rss_before", Show::Bytes, 1).titled("before").means("rss before the cell", "as rss"),
    Column::new("rss", Show::Bytes, 0).titled("in memory"),
    Column::new("kind", Show::Text, 3),
    Column::new("give_back", Show::Text, 1).titled("give back").at_least(WHOLE).optional(),
    Column::new("also", Show::Text, 3).titled("also held by").optional(),
];

#[rustfmt::skip]
const FACTS: &[Field] = &[
    Field::new("rss", Show::Bytes, "the resident set size: all that is in physical memory", "the regions"),
    Field::new("rss_before", Show::Bytes, "the same before the cell", "the regions"),
    Field::new("peak", Show::Bytes, "below %%memory: the most that was in physical memory while the cell ran, where that is more than before it and after it; null where it was no more than ever before", "/proc/self/status"),
    Field::new("kinds", Show::Object, "the sums of rss by kind", "the rows"),
    Field::new("complete", Show::Flag, "whether everything was looked at", "the limits"),
];
