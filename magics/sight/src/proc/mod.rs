//! What Linux tells of a process and its machine: `/proc`, `/sys`, control groups, and the memory itself.

pub mod cgroups;
pub mod cpus;
pub mod descriptors;
pub mod host;
pub mod identity;
pub mod maps;
pub mod memory_limits;
pub mod mounts;
pub mod open_files;
pub mod pages;
pub mod process_usage;
pub mod processes;
pub mod programs;
pub mod residency;
pub mod resource_usage;
pub mod spans;
pub mod target_process;
pub mod task_limit;
pub mod tasks;
pub mod thread_descriptors;

/// Says why there is no answer, where the system tells nothing of this process.
///
/// # Errors
/// When its files cannot be read.
pub fn tells() -> crate::Result<()> {
    crate::error::read("/proc/self/stat").map(drop)
}
