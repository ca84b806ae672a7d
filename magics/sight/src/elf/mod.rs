//! ELF images in memory, and the names in them.

pub mod demangle;
pub mod image;
pub mod readable;
