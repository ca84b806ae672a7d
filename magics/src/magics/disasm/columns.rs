//! The fields of `%disasm`.

use diaphane_report::{Column, Field, Rows, Schema, Show};

use crate::code::fields;
use crate::libraries::fields::PACKAGE_VERSION;

pub(super) const SCHEMA: Schema = Schema::new(&[Rows::new(COLUMNS, FIELDS)], FACTS);

#[rustfmt::skip]
pub(super) const COLUMNS: &[Column] = &[
    Column::new("func", Show::Name, 0).titled("function").at_least(24).means("the function, demangled; null where no symbol covers the address", ".symtab of the file, else the exported names"),
    Column::new("types", Show::Text, 3).optional().means("what a loop takes and gives, in NumPy's letters; null for other functions", "the ufunc; with --dtype NumPy's choice"),
    Column::of(fields::LIB, 1).titled("library").at_least(14),
    Column::of(fields::PACKAGE, 4).with("package_version").optional(),
    Column::new("addr", Show::Address, 2).means("the first instruction", "as in %where"),
    Column::of(fields::SIZE, 2).optional(),
    Column::new("count", Show::Number, 3).titled("instructions").means("how many instructions are listed", "the decoded code"),
];

#[rustfmt::skip]
const FIELDS: &[Field] = &[
    Field::new("object", Show::Text, "how the function was reached", "as in %where"),
    fields::SYMBOL,
    fields::OFFSET,
    fields::LIB_PATH,
    PACKAGE_VERSION,
    Field::new("isa", Show::Object, "how many instructions belong to each part of the instruction set, as in %where", "the decoded code"),
    Field::new("insns", Show::Records, "the instructions: addr, bytes (hexadecimal), text, isa, target (the address that it jumps to or calls, else null), name (what lies there)", "the code in memory, decoded"),
];

#[rustfmt::skip]
const FACTS: &[Field] = &[
    fields::TARGET,
    fields::DTYPE,
];
