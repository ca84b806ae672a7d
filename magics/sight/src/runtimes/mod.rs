//! Runtime libraries: which ones there are, their thread pools, malloc and stdio.

pub mod families;
pub mod getters;
pub mod glibc_malloc;
pub mod pool_libraries;
pub mod stdio;
