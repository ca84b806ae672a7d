//! The socket of a guest, who has no channels of a kernel: by it `diaphane ask` of the same user gets answers, and nobody else.
//!
//! A question is a line of JSON with `name` and `line`; the answer is the content of a `magic_reply`.

mod callers;

use std::fs;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Arc;
use std::time::Duration;

use diaphane_sight::threads::OwnThread;
use rustix::process::getuid;
use serde_json::{Value, json};

use crate::signals;
use callers::Callers;

/// A socket that is listened to until this is dropped.
pub struct GuestSocket {
    path: PathBuf,
    callers: Arc<Callers>,
    /// The process that listens: a forked child has this too, but nobody who listens, and the file is not its own.
    owner: u32,
}

/// The folder of the sockets of this user's guests.
fn folder() -> PathBuf {
    match std::env::var_os("XDG_RUNTIME_DIR").filter(|path| !path.is_empty()) {
        Some(runtime) => PathBuf::from(runtime).join("diaphane"),
        None => std::env::temp_dir().join(format!("diaphane-{}", getuid().as_raw())),
    }
}

/// Makes the folder, which nobody else may use.
fn make_folder() -> io::Result<PathBuf> {
    let folder = folder();
    match fs::DirBuilder::new().mode(0o700).create(&folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let found = fs::symlink_metadata(&folder)?;
    if !found.is_dir() || found.uid() != getuid().as_raw() || found.mode() & 0o077 != 0 {
        let sentence = format!(
            "{} is no folder of this user's alone: remove it, or set XDG_RUNTIME_DIR",
            folder.display()
        );
        return Err(io::Error::new(ErrorKind::PermissionDenied, sentence));
    }
    Ok(folder)
}

impl GuestSocket {
    /// Begins to listen, on a thread of its own.
    ///
    /// # Errors
    /// When the socket cannot be made, or no thread be started.
    pub fn listen() -> io::Result<Self> {
        let owner = process::id();
        let path = make_folder()?.join(format!("{owner}.sock"));
        // Of a process that had this number before.
        let _gone = fs::remove_file(&path);
        let listener = UnixListener::bind(&path)?;
        let callers = Arc::new(Callers::new()?);
        let socket = Self {
            path,
            callers: Arc::clone(&callers),
            owner,
        };
        listener.set_nonblocking(true)?;
        signals::with_all_blocked(|| {
            let serve = move || {
                let _own = OwnThread::begin();
                callers.serve(&listener);
            };
            std::thread::Builder::new()
                .name("diaphane-listen".into())
                .spawn(serve)
        })?;
        diaphane_magics::set_listening(true);
        Ok(socket)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether this process listens, and not the one that it was forked from.
    #[must_use]
    pub fn is_own(&self) -> bool {
        self.owner == process::id()
    }
}

impl Drop for GuestSocket {
    fn drop(&mut self) {
        if self.is_own() {
            diaphane_magics::set_listening(false);
            self.callers.end();
            let _gone = fs::remove_file(&self.path);
        }
    }
}

/// The processes in which a guest listens.
#[must_use]
pub fn listening() -> Vec<i32> {
    let entries = fs::read_dir(folder()).into_iter().flatten().flatten();
    let number = |entry: fs::DirEntry| -> Option<i32> {
        entry
            .file_name()
            .to_str()?
            .strip_suffix(".sock")?
            .parse()
            .ok()
    };
    let is_there = |pid: &i32| UnixStream::connect(place(*pid)).is_ok();
    entries.filter_map(number).filter(is_there).collect()
}

fn place(pid: i32) -> PathBuf {
    folder().join(format!("{pid}.sock"))
}

/// What the guest in a process answers.
///
/// # Errors
/// When nobody listens there, or nothing comes within that time.
pub fn ask(pid: i32, name: &str, line: &str, timeout: Duration) -> io::Result<Value> {
    let mut stream = UnixStream::connect(place(pid))?;
    stream.set_read_timeout(Some(timeout))?;
    writeln!(stream, "{}", json!({"name": name, "line": line}))?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(serde_json::from_slice(&answer)?)
}
