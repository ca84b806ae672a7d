//! The fields of `%where`.

use diaphane_report::{Column, Field, Rows, Schema, Show};

use crate::code::fields;
use crate::libraries::fields::PACKAGE_VERSION;

pub(super) const SCHEMA: Schema = Schema::new(&[Rows::new(COLUMNS, FIELDS)], FACTS);

#[rustfmt::skip]
pub(super) const COLUMNS: &[Column] = &[
    Column::new("role", Show::Text, 1).means("what the step is: ufunc, loop, method, ...", "the type of the object"),
    Column::new("object", Show::Text, 8).optional().means("how the step was reached", "the step before"),
    Column::new("types", Show::Text, 0).optional().means("what a loop takes and gives, in NumPy's letters; null for other steps", "the ufunc; with --dtype NumPy's choice"),
    Column::new("func", Show::Name, 0).titled("function").at_least(24).optional().means("the symbol there, demangled; null where no symbol covers the address", ".symtab of the file, else the exported names"),
    Column::new("source", Show::Path, 2).optional().means("file and line together", "Python's code object, else DWARF in the file"),
    Column::of(fields::LIB, 4).titled("library").at_least(14).optional(),
    Column::of(fields::PACKAGE, 7).with("package_version").optional(),
    Column::of(fields::SIZE, 6).optional(),
    Column::new("isa_used", Show::List, 3).titled("isa").optional().means("the parts of the instruction set that the function uses, the widest first", "the decoded code"),
    Column::new("bound", Show::Text, 5).titled("variant").optional().means("the variant of the loop that is used", "the symbol's suffix"),
    Column::new("each", Show::Name, 3).titled("for each item").optional().means("the function that the loop calls for each item", "the ufunc's data"),
    Column::new("addr", Show::Address, 10).optional().means("the C function", "CPython's structures (the method table, the slot, the getter), ctypes, the ufunc's table of loops"),
    Column::of(fields::OFFSET, 11).optional(),
];

#[rustfmt::skip]
const FIELDS: &[Field] = &[
    Field::new("dtypes", Show::Text, "the same as types, in names", "the ufunc"),
    fields::SYMBOL,
    fields::LIB_PATH,
    PACKAGE_VERSION,
    Field::new("file", Show::Path, "the source file", "Python's code object, else DWARF in the file"),
    Field::new("line", Show::Number, "the line where the function begins", "Python's code object, else DWARF in the file"),
    Field::new("isa", Show::Object, "how many instructions belong to scalar, sse, avx, avx2 and avx512, and how many are packed (work on several items)", "the decoded code"),
    Field::new("variants", Show::List, "the variants of the loop in the library", "the symbols' suffixes"),
];

#[rustfmt::skip]
const FACTS: &[Field] = &[
    fields::TARGET,
    fields::DTYPE,
];
