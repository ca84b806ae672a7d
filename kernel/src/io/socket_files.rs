//! The files of sockets that listen at a path: libzmq leaves them behind, and here they go with the kernel.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use zmq::Socket;

/// The file of one socket.
pub(super) struct SocketFile {
    path: PathBuf,
    /// Its device and number, by which it is told from one that another kernel has put there since.
    identity: (u64, u64),
}

impl SocketFile {
    /// The file of a bound socket, if it has one.
    pub(super) fn of(socket: &Socket) -> Option<Self> {
        let endpoint = socket.get_last_endpoint().ok()?.ok()?;
        // Code of the user may change the folder that a relative path begins at.
        let path = std::path::absolute(endpoint.strip_prefix("ipc://")?).ok()?;
        let identity = identity(&path)?;
        Some(Self { path, identity })
    }

    /// Removes it, if it is still there.
    pub(super) fn remove(&self) {
        if identity(&self.path) == Some(self.identity)
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::debug!(%error, path = %self.path.display(), "the file of a socket stays");
        }
    }
}

fn identity(path: &PathBuf) -> Option<(u64, u64)> {
    let about = fs::symlink_metadata(path).ok()?;
    Some((about.dev(), about.ino()))
}
