//! Why a probe has no answer, and reading files of Linux with such an error.

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
pub(crate) fn read(path: impl AsRef<Path>) -> Result<Vec<u8>> {
    let path = path.as_ref();
    std::fs::read(path).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })
}
