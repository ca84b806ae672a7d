//! The fields of `%disasm`.

use diaphane_report::{Column, Field, Rows, Schema, Show};

pub(super) const SCHEMA: Schema = Schema::new(
    &[Rows {
        with: "",
        columns: COLUMNS,
        fields: FIELDS,
    }],
    FACTS,
);

#[rustfmt::skip]
pub(super) const COLUMNS: &[Column] = &[
    Column::new("func", Show::Text, 0).titled("function").at_least(24)
        .means("the function, demangled; null where no symbol covers the address", ".symtab of the file, else the exported names"),
    Column::new("types", Show::Text, 3).optional()
        .means("what a loop takes and gives, in NumPy's letters; null for other functions", "the ufunc; with --dtype NumPy's choice"),
    Column::new("lib", Show::Text, 1).titled("library").at_least(14)
        .means("the library of the function", "the dynamic linker (link_map)"),
    Column::new("package", Show::Text, 4).with("package_version").optional()
        .means("the package that installed the library", "RECORD, conda-meta, /var/lib/dpkg"),
    Column::new("addr", Show::Address, 2)
        .means("the first instruction", "as in %where"),
    Column::new("size", Show::Number, 2).optional()
        .means("the bytes of the function", "the symbol"),
    Column::new("count", Show::Number, 3).titled("instructions")
        .means("how many instructions are listed", "the decoded code"),
];

#[rustfmt::skip]
const FIELDS: &[Field] = &[
    Field::new("object", Show::Text, "how the function was reached", "as in %where"),
    Field::new("symbol", Show::Text, "the symbol as it is in the file", ".symtab of the file, else the exported names"),
    Field::new("offset", Show::Number, "bytes from the beginning of the symbol to addr", "the symbol"),
    Field::new("lib_path", Show::Path, "the file of the library", "the dynamic linker (link_map)"),
    Field::new("package_version", Show::Text, "the version of that package", "RECORD, conda-meta, /var/lib/dpkg"),
    Field::new("isa", Show::Object, "how many instructions belong to each part of the instruction set, as in %where", "the decoded code"),
    Field::new("insns", Show::Records, "the instructions: addr, bytes (hexadecimal), text, isa, target (the address that it jumps to or calls, else null), name (what lies there)", "the code in memory, decoded"),
];

#[rustfmt::skip]
const FACTS: &[Field] = &[
    Field::new("target", Show::Text, "what was asked for", "the line"),
    Field::new("dtype", Show::Text, "the argument of --dtype", "the line"),
];
