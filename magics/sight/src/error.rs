//! Why a probe has no answer, and reading files of Linux with such an error.

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

/// Why a probe has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file of the kernel could not be read.
    #[error("cannot read {path}: {source}; {}", remedy(source))]
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

/// What can be done about a file of the kernel that cannot be read.
fn remedy(error: &io::Error) -> String {
    match Errno::from_io_error(error) {
        Some(Errno::MFILE) => {
            let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
            format!(
                "{limit} of {limit} file descriptors of this process are in use: close some, or raise the limit (ulimit -n)"
            )
        }
        Some(Errno::NFILE) => "the whole system has no file descriptor left".to_owned(),
        _ => "is /proc mounted and visible here?".to_owned(),
    }
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
