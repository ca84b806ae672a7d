//! What every door does once it knows its Python: clients can connect, Python runs, and then the process is gone.
//!
//! A door is a way by which the kernel comes into a process with Python: the program that embeds it, and the extension
//! module that a plain `python` imports.

use std::ffi::CString;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use diaphane_wire::Connection;
use diaphane_wire::reply::KernelInfo;
use rustix::fd::AsRawFd as _;
use rustix::process::{Resource, getrlimit};

use crate::crash::Crash;
use crate::io::{self, Sockets};
use crate::kernel::Kernel;
use crate::working_folder;
use crate::{exit, host, interposed, log, signals};

/// What `kernel_info_reply` says that this kernel can do beyond the protocol's first version.
const FEATURES: [&str; 4] = [
    "kernel subshells",
    "diaphane monitor",
    "diaphane profile",
    "debugger",
];

/// What a door knows before Python's part begins.
pub struct Opening<'a> {
    /// The connection file that Jupyter wrote.
    pub connection_file: &'a Path,
    /// The version of Python, as `3.11.7`.
    pub python_version: &'a str,
    /// Whether debugpy, which is imported by the first request for it, is there.
    pub debugger: bool,
    /// The words by which this process's program runs our command line once more; the program's own name is the first.
    pub command: Vec<CString>,
    /// Where the command `diaphane` lies, for the shells of the notebook.
    pub command_folder: &'a Path,
    /// Options for IPython (`--profile`, `--IPCompleter.use_jedi=False`...).
    pub arguments: &'a [String],
}

/// Runs the kernel until somebody ends it; then the process is gone.
///
/// `python` is called when clients can connect: it runs [`host::serve`], whose exit code it gives back.
///
/// # Errors
/// When the kernel cannot listen.
pub fn run(
    opening: Opening<'_>,
    python: impl FnOnce(&Arc<Kernel>, &host::Options<'_>) -> anyhow::Result<i32>,
) -> anyhow::Result<()> {
    let connection = Connection::read(opening.connection_file)?;
    has_room()?;
    let stderr = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stderr(), 3)?;
    log::start(stderr.try_clone()?);
    working_folder::leave_deleted();
    let crash = Crash::begin(opening.connection_file, opening.command, &stderr)?;

    let features = &FEATURES[..FEATURES.len() - usize::from(!opening.debugger)];
    let info = KernelInfo::new(env!("CARGO_PKG_VERSION"), opening.python_version, features);
    let info = serde_json::to_vec(&info)?;
    // Clients can connect from here on; what they send waits until Python is there, and so does an interrupt.
    signals::hold_interrupts();
    let io = signals::with_all_blocked(|| -> anyhow::Result<_> {
        let sockets = Sockets::bind(&connection)?;
        let kernel = Kernel::new(connection, info, crash)?;
        Ok((io::spawn(Arc::clone(&kernel), sockets)?, kernel))
    });
    let (io, kernel) = io.context("the kernel could not listen")?;
    // After the first answers, which wait for nothing of Python's; before its threads and signal handlers.
    if let Err(error) = interposed::begin() {
        tracing::warn!(%error, "who starts threads will not be known");
    }
    let options = host::Options {
        connection_file: opening.connection_file,
        stderr: stderr.as_raw_fd(),
        command_folder: opening.command_folder,
        arguments: opening.arguments,
    };
    let ended = python(&kernel, &options);
    let why = ended.as_ref().err().map(|error| format!("{error:#}"));
    if let Some(why) = &why {
        tracing::error!("{why}");
    }
    kernel.end(why);
    if io.join().is_err() {
        tracing::error!("the io thread failed");
    }
    exit::now(ended.unwrap_or(1))
}

/// Whether the limits leave what a kernel needs to start: where they do not, libzmq or Rust end the process.
fn has_room() -> anyhow::Result<()> {
    const FILES: u64 = 64;
    const ADDRESSES: u64 = 200 << 20;
    let limit = |resource| getrlimit(resource).current.unwrap_or(u64::MAX);
    let (files, addresses) = (limit(Resource::Nofile), limit(Resource::As));
    ensure!(
        files >= FILES,
        "a process may have only {files} open files here, and the kernel needs {FILES} at least; raise the limit (ulimit -n)"
    );
    ensure!(
        addresses >= ADDRESSES,
        "a process may have only {} MiB of addresses here, and the kernel needs {} at least; raise the limit (ulimit -v)",
        addresses >> 20,
        ADDRESSES >> 20
    );
    Ok(())
}
