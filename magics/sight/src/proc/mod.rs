//! What Linux tells of a process and its machine: `/proc`, `/sys`, control groups, and the memory itself.

pub mod cgroups;
pub mod cpus;
pub mod descriptors;
pub mod host;
pub mod maps;
pub mod memory_limits;
pub mod mounts;
pub mod pages;
pub mod processes;
pub mod residency;
pub mod resource_usage;
pub mod spans;
pub mod target_process;
pub mod task_limit;
