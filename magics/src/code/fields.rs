//! The fields of a native function, which every magic has that finds the code behind an object.

use diaphane_report::{Field, Show};

pub(crate) const TARGET: Field = Field::new("target", Show::Text, "what was asked for", "the line");
pub(crate) const DTYPE: Field = Field::new("dtype", Show::Text, "the argument of --dtype", "the line");
pub(crate) const SYMBOL: Field = Field::new("symbol", Show::Text, "the symbol as it is in the file", ".symtab of the file, else the exported names");
pub(crate) const OFFSET: Field = Field::new("offset", Show::Number, "bytes from the beginning of the symbol to addr", "the symbol");
pub(crate) const SIZE: Field = Field::new("size", Show::Number, "the bytes of the function", "the symbol");
pub(crate) const LIB: Field = Field::new("lib", Show::Library, "the library of the function", "the dynamic linker (link_map)");
pub(crate) const LIB_PATH: Field = Field::new("lib_path", Show::Path, "the file of the library", "the dynamic linker (link_map)");
pub(crate) const PACKAGE: Field = Field::new("package", Show::Text, "the package that installed the library", "RECORD, conda-meta, /var/lib/dpkg");
