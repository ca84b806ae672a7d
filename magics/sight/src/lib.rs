//! What a running process is made of, as plain data: its libraries, memory regions, threads and host.
//!
//! Every probe looks at the process it runs in (stacks and libraries also at another one, see `subject`) and asks the kernel, the dynamic linker or the mapped ELF image; where
//! none of them knows, the field is `None`.
//! It is not a tracer and not a renderer, knows neither Python nor Jupyter, and changes nothing in what it looks at:
//! no library is opened, no function called but the few documented ones that only read (`pools`), and foreign memory is read through the kernel, so that a bad address is an
//! error and not a crash.

pub mod births;
pub mod ceilings;
mod cgroups;
pub mod code;
pub mod cpus;
pub mod demangle;
mod descriptors;
pub mod elf;
pub mod file;
pub mod float;
mod getters;
pub mod host;
pub mod libs;
pub mod lines;
pub mod linker;
pub mod malloc;
pub mod maps;
pub mod mounts;
pub mod packages;
pub mod pages;
pub mod pools;
pub mod processes;
pub mod regions;
pub mod search;
pub mod slots;
pub mod spans;
pub mod stacks;
pub mod stdio;
pub mod subject;
pub mod symbols;
pub mod tasks_allowed;
pub mod threads;
pub mod toll;
pub mod usage;

use std::io;
use std::path::{Path, PathBuf};

/// Why a probe has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file of the kernel could not be read.
    #[error("cannot read {path}: {source}; is /proc mounted and visible here?")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the kernel answered.
        #[source]
        source: io::Error,
    },
    /// A file of the kernel has a line that this version does not understand.
    #[error("cannot understand this line of {path}: {line:?}")]
    Line {
        /// The file.
        path: PathBuf,
        /// The line.
        line: String,
    },
}

/// The outcome of a probe.
pub type Result<T> = std::result::Result<T, Error>;

/// Reads a whole file of the kernel.
fn read(path: impl AsRef<Path>) -> Result<Vec<u8>> {
    let path = path.as_ref();
    std::fs::read(path).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })
}
