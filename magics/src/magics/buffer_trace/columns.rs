//! The fields of `%%buffer_trace`.

use diaphane_report::{Column, Field, Rows, Schema, Show};

pub(super) const SCHEMA: Schema = Schema::new(&[Rows::new(COLUMNS, FIELDS)], FACTS);

#[rustfmt::skip]
pub(super) const COLUMNS: &[Column] = &[
    Column::new("place", Show::Text, 1).titled("line").means("the line of the cell that allocated, as In[3]:2", "the frames of the thread at that moment"),
    Column::new("source", Show::Text, 4).at_least(16).optional().means("the text of that line", "the cell"),
    Column::new("count", Show::Number, 3).means("how many buffers are alike in line, size and end", "NumPy's memory handler (NEP 49)"),
    Column::new("nbytes", Show::Bytes, 0).titled("size").means("the size of one", "NumPy's memory handler"),
    Column::new("how", Show::Text, 6).means("malloc, calloc (zeros) or realloc (resized)", "which function NumPy called"),
    Column::new("state", Show::Text, 2).at_least(5).means("freed or kept when the cell has ended", "NumPy's memory handler"),
    Column::new("kept_by", Show::Text, 2).titled("kept by").at_least(44).optional().means("who keeps it: b or d['x'][3], the closure of a function, a frame of an error's traceback or of another thread; an object in angle brackets has no name; null for a freed one", "a walk through the object graph of all variables, and where that leads nowhere, of all objects of the process"),
    Column::new("lifetime_ns", Show::Time, 5).titled("lifetime").optional().means("from the allocation until it was freed, the longest of the row; null for a kept one", "the clock"),
    Column::new("through", Show::Name, 7).optional().means("the function that this line called and that allocated", "the innermost frame"),
    Column::new("addr", Show::Address, 8).means("the address, of the first one if there are several", "NumPy's memory handler"),
];

#[rustfmt::skip]
const FIELDS: &[Field] = &[
    Field::new("line", Show::Number, "the number of that line in the cell", "the frames of the thread"),
    Field::new("total_bytes", Show::Bytes, "the size of all of the row", "NumPy's memory handler"),
    Field::new("is_view", Show::Flag, "whether what keeps it is only a view of it", "the object graph"),
];

#[rustfmt::skip]
const FACTS: &[Field] = &[
    Field::new("allocated", Show::Number, "buffers that were allocated", "NumPy's memory handler"),
    Field::new("allocated_bytes", Show::Bytes, "their size", "NumPy's memory handler"),
    Field::new("freed", Show::Number, "those that were freed", "NumPy's memory handler"),
    Field::new("kept", Show::Number, "those that were kept", "NumPy's memory handler"),
    Field::new("kept_bytes", Show::Bytes, "their size", "the rows"),
    Field::new("peak_bytes", Show::Bytes, "the most that was alive at one time", "NumPy's memory handler"),
    Field::new("largest_bytes", Show::Bytes, "the largest buffer", "NumPy's memory handler"),
    Field::new("smaller", Show::Number, "buffers below --min, which are only counted", "NumPy's memory handler"),
    Field::new("pools", Show::Records, "Arrow's memory pools that have been used, when the cell has ended: backend, default, used and held in bytes (held is null where its mappings are not recognised), give_back (the line that returns what is not used)", "pyarrow, the notes of Arrow's allocators, /proc/self/pagemap"),
    Field::new("views", Show::Records, "the variables that the cell has bound to memory which one that it names had before, so that nothing was copied for them: name, shares_with", "the variables before and after the cell"),
    Field::new("not_copied", Show::List, "the arrays named in the cell that are larger than every buffer that was allocated, so that no whole copy of them was made", "the variables, the rows"),
];
