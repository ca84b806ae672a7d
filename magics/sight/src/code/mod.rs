//! What lies in a library's code and tables: symbols, source lines, GOT entries, instructions.

pub mod file;
pub mod got_entries;
pub mod instructions;
pub mod lines;
mod names;
mod remembered;
pub mod symbols;
