//! The fields of `%%buffer_writes`.

use crate::recording::fields::ELAPSED_NS;
use diaphane_report::{Column, Field, Rows, Schema, Show};

pub(super) const SCHEMA: Schema = Schema::new(&[Rows::new(COLUMNS, FIELDS)], FACTS);

#[rustfmt::skip]
pub(super) const COLUMNS: &[Column] = &[
    Column::new("name", Show::Text, 0).means("the variable, with the part of it that is one buffer", "your variables"),
    Column::new("state", Show::Text, 0).means("whole, part or not: how much of it was written; same: somebody wrote on a page that it shares with others, and its bytes there are as before; perhaps: the same, and nobody knows its bytes from before, or its items have those of others between them; new: the cell has made it; view: the cell has bound it to memory that was there before; left: not written, and no longer the variable's; freed: nobody can tell; unknown: Linux would not watch its pages", "Linux's note of each page (PAGEMAP_SCAN), a copy of a small buffer"),
    Column::new("written", Show::Bytes, 1).means("how much of it lies on pages that were written: a page is the least that Linux tells", "PAGEMAP_SCAN"),
    Column::new("nbytes", Show::Bytes, 1).titled("size").means("from its first to its last byte", "NumPy's structure or the buffer protocol"),
    Column::new("where", Show::Text, 2).at_least(20).optional().means("the buffer from its beginning to its end: full blocks for what was written", "the pages"),
    Column::new("kind", Show::Text, 3).means("the type of the object", "the object"),
];

#[rustfmt::skip]
const FIELDS: &[Field] = &[
    Field::new("addr", Show::Address, "its first byte", "NumPy's structure or the buffer protocol"),
    Field::new("pages", Show::Number, "the pages in which it lies", "the address"),
    Field::new("written_pages", Show::Number, "those that were written", "PAGEMAP_SCAN"),
    Field::new("ranges", Show::Records, "the first and the last byte of up to 64 ranges that were written, counted from its beginning, each with the whole items in it: first_byte, last_byte, first_item, last_item; items are null where they do not lie one behind the other", "PAGEMAP_SCAN, the size of an item"),
    Field::new("values_changed", Show::Flag, "whether its bytes are other ones than before; null of a buffer beyond 64 KiB, of which only what shares pages with others is copied", "a copy from before the cell"),
    Field::new("shares_with", Show::Text, "of a view the variable that had the memory before", "the addresses"),
];

#[rustfmt::skip]
const FACTS: &[Field] = &[
    ELAPSED_NS,
    Field::new("page_bytes", Show::Bytes, "the size of a page", "sysconf"),
    Field::new("watched_bytes", Show::Bytes, "the size of all pages that were watched", "the addresses"),
    Field::new("divided_bytes", Show::Bytes, "what was in huge pages before and is not any more", "PAGEMAP_SCAN"),
];
