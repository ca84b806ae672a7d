//! What the dynamic linker has loaded, and where it looks.

pub mod forks;
pub mod libraries;
pub mod link_map;
pub mod search;
