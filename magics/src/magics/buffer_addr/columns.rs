//! The fields of `%buffer_addr`.

use diaphane_report::{Column, Field, Rows, Schema, Show};

pub(super) const SCHEMA: Schema = Schema::new(&[Rows::new(COLUMNS, FIELDS)], FACTS);

#[rustfmt::skip]
pub(super) const COLUMNS: &[Column] = &[
    Column::new("name", Show::Text, 0).at_least(24).means("the variable, with the attributes and subscripts that lead to the buffer", "your variables"),
    Column::new("count", Show::Number, 2).optional().means("how many buffers the row stands for, which are alike in all but where they lie; addr, end and offset are the first one's; null for a single one", "the rows of --each"),
    Column::new("type", Show::Text, 6).optional().means("the object's type", "the object"),
    Column::new("dtype", Show::Text, 5).optional().means("the type of an item", "NumPy's C struct, the buffer protocol, Arrow, DLPack"),
    Column::new("shape", Show::Tuple, 7).optional().means("items in each dimension", "NumPy's C struct, the buffer protocol, Arrow, DLPack"),
    Column::new("strides", Show::Tuple, 11).optional().means("bytes from an item to the next one in each dimension", "NumPy's C struct, the buffer protocol, Arrow, DLPack"),
    Column::new("addr", Show::Address, 1).optional().means("where the first item lies", "NumPy's C struct, the buffer protocol, Arrow, DLPack"),
    Column::new("end", Show::Address, 13).optional().means("the address behind the last byte", "shape and strides"),
    Column::new("nbytes", Show::Bytes, 1).titled("size").optional().means("the items' size, without gaps between them; of one, where the row stands for several", "shape and dtype"),
    Column::new("present", Show::Bytes, 2).optional().means("of the bytes from the first to the last item, of all buffers of the row, those in physical memory; null without --pages", "PAGEMAP_SCAN, else /proc/self/pagemap"),
    Column::new("huge", Show::Bytes, 3).optional().means("of the present ones, those in huge pages; null without --pages", "PAGEMAP_SCAN (Linux 6.7)"),
    Column::new("numa", Show::List, 8).titled("NUMA").at_least(4).optional().means("the NUMA nodes of the present pages; null without --pages", "move_pages, or that there is only one node"),
    Column::new("holder", Show::Text, 4).titled("owner").optional().means("the owner by its name, or its type and size; null where the object owns its memory itself", "the chain of base"),
    Column::new("offset", Show::Number, 5).optional().means("bytes from the owner's first byte to addr", "the chain of base"),
    Column::new("flags", Show::List, 10).optional().means("C_CONTIGUOUS, F_CONTIGUOUS, OWNDATA, WRITEABLE, ALIGNED as NumPy calls them", "NumPy's C struct, the buffer protocol"),
    Column::new("mapping", Show::Path, 12).optional().means("heap, stack, anonymous memory, the file that is mapped there, shared memory, or the data of a library", "/proc/self/maps, the dynamic linker"),
    Column::new("sharers", Show::Text, 3).titled("shares with").optional().means("the same as shares_with in words: nobody, or that not all could be asked", "NumPy's exact solver"),
    Column::new("allocated_at", Show::Text, 4).titled("allocated at").optional().means("the line that allocated it: In[3]:2, or a file and line; null where nobody recorded it", "%%buffer_trace, else tracemalloc while it runs"),
    Column::new("refs", Show::Number, 14).optional().means("references to the object, besides those of the report", "its reference count"),
    Column::new("allocator", Show::Text, 15).optional().means("the name of NumPy's memory handler that the owner's memory is from", "NumPy's C struct (NEP 49)"),
];

#[rustfmt::skip]
const FIELDS: &[Field] = &[
    Field::new("error", Show::Text, "what the object answered when it was asked for its memory; null if it has exported it", "the exception"),
    Field::new("shares_with", Show::List, "what shares at least one byte: other rows, other variables, and what variables, Out and functions hold", "NumPy's exact solver"),
    Field::new("total_bytes", Show::Bytes, "the size of all buffers that the row stands for", "shape and dtype"),
    Field::new("owner", Show::Text, "the variable that is the object which holds the memory; null where it has no name", "the chain of base"),
    Field::new("owner_type", Show::Text, "the type of that object", "the chain of base"),
    Field::new("owner_addr", Show::Address, "where that object's memory begins", "the chain of base"),
    Field::new("owner_nbytes", Show::Bytes, "the size of that object's memory", "the chain of base"),
    Field::new("alignment", Show::Number, "the largest power of two up to 4096 that divides addr", "the address"),
    Field::new("zero", Show::Bytes, "of the present bytes, those that were read and never written; null without --pages", "PAGEMAP_SCAN (Linux 6.7)"),
    Field::new("swapped", Show::Bytes, "of the bytes from the first to the last item, those in swap; null without --pages", "PAGEMAP_SCAN, else /proc/self/pagemap"),
];

#[rustfmt::skip]
const FACTS: &[Field] = &[
    Field::new("listed_bytes", Show::Bytes, "the sum of all rows", "the rows"),
    Field::new("distinct_bytes", Show::Bytes, "the same, with shared memory counted once", "the rows"),
    Field::new("held_bytes", Show::Bytes, "what the rows keep in memory: the same with all of the owners' memory", "the chain of base"),
    Field::new("distinct_is_exact", Show::Flag, "whether that number is exact: buffers with gaps may share more than was counted", "the rows"),
];
