//! The fields of `%why_import`.

use diaphane_report::{Column, Field, Rows, Schema, Show};

pub(super) const SCHEMA: Schema = Schema::new(&[Rows::new(COLUMNS, FIELDS)], FACTS);

#[rustfmt::skip]
pub(super) const COLUMNS: &[Column] = &[
    Column::new("kind", Show::Text, 0).means("missing library, missing version, undefined symbol, static TLS, wrong ELF class, no library, executable stack, no module", "the linker's message"),
    Column::new("missing", Show::Text, 0).at_least(24).means("the library, version, symbol or function that is missing", "the linker's message"),
    Column::new("required_by", Show::Path, 1).titled("required by").means("the file that needs it", "the linker's message; for a library the files, from the module downwards"),
    Column::new("loaded_copy", Show::Path, 2).titled("loaded copy").optional().means("the library of that name that is loaded already", "as in %loaded_libs"),
    Column::new("loaded_by", Show::Name, 3).titled("loaded by").optional().means("what loaded that copy", "as in %loaded_libs"),
];

#[rustfmt::skip]
const FIELDS: &[Field] = &[
    Field::new("candidates", Show::Records, "files on this machine that might do: path, and what it provides", "this Python's folders, *.libs, LD_LIBRARY_PATH, ld.so.cache"),
    Field::new("tried", Show::Records, "the files that the linker looked for: path and rule", "inferred: the rules of ld.so(8), applied again"),
    Field::new("reason", Show::Text, "what is wrong", "all of these together"),
    Field::new("fix", Show::Text, "what to do", "all of these together"),
];

#[rustfmt::skip]
const FACTS: &[Field] = &[
    Field::new("message", Show::Text, "the exception's message", "the exception"),
    Field::new("module", Show::Text, "the module that was imported; null where none was", "the exception"),
    Field::new("env_diff", Show::Object, "the linker's variables that were changed after the kernel's start, which has no effect: at_start and now", "the environment"),
];
