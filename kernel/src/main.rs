//! The command line of the kernel.

mod ask;
mod install;
mod python;
mod running_kernels;
mod working_folder;

use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use clap::{Parser, Subcommand};
use diaphane::crash::Crash;
use diaphane::io::Sockets;
use diaphane::kernel::Kernel;
use diaphane::{exit, host, interposed, io, log, signals};
use diaphane_wire::Connection;
use diaphane_wire::reply::KernelInfo;
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::process::{Resource, getrlimit};

/// What `kernel_info_reply` says that this kernel can do beyond the protocol's first version.
const FEATURES: [&str; 2] = ["kernel subshells", "debugger"];

/// A Jupyter kernel that embeds CPython and lets you see through it to the native code.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the kernel; Jupyter does this.
    Kernel(KernelArgs),
    /// Ask a running kernel: `diaphane ask threads`, also when its cell hangs.
    Ask(ask::AskArgs),
    /// List the kernels that run here, with their notebooks and what they do.
    List,
    /// Show what a process with Python runs, from outside: a kernel that does not answer, or any script.
    Stack(diaphane_magics::StackArgs),
    /// Look at a kernel that crashes; it runs this itself.
    #[command(hide = true)]
    CrashReport(diaphane_magics::CrashedProcess),
    /// Write what the reports of the magics hold, as JSON schemas by the magics' names.
    Schema {
        /// Only this magic's: `diaphane schema threads`.
        magic: Option<String>,
    },
    /// Install the kernel for Jupyter.
    Install(install::InstallArgs),
    /// Remove an installed kernel.
    Uninstall(install::UninstallArgs),
}

#[derive(clap::Args)]
struct KernelArgs {
    /// The Python whose packages are used: a venv's bin/python, or any other.
    #[arg(long, value_name = "PYTHON", default_value = python::BUILT_WITH)]
    python: PathBuf,
    /// The connection file that Jupyter wrote.
    #[arg(short = 'f', long, value_name = "FILE")]
    connection_file: PathBuf,
    /// Options for IPython, as `--profile=work` or `--InteractiveShell.colors=nocolor`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    ipython: Vec<String>,
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Kernel(args) => run(&args),
        Command::Ask(args) => ask::ask(&args, complain).and_then(|text| say(&text)),
        Command::List => say(&running_kernels::list()),
        Command::Stack(args) => diaphane_magics::stack_of_process(&args)
            .map_err(anyhow::Error::msg)
            .and_then(|text| say(&text)),
        Command::CrashReport(args) => say(&diaphane_magics::tell_of_crash(&args)),
        Command::Schema { magic } => schema(magic.as_deref()).and_then(|text| say(&text)),
        Command::Install(args) => install::install(&args).and_then(|text| say(&text)),
        Command::Uninstall(args) => install::uninstall(&args).and_then(|text| say(&text)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("diaphane: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// The JSON schemas as text.
fn schema(magic: Option<&str>) -> anyhow::Result<String> {
    let schemas = diaphane_magics::schemas(magic).map_err(anyhow::Error::msg)?;
    Ok(serde_json::to_string_pretty(&schemas)?)
}

/// Whether the limits leave what a kernel needs to start: where they do not, libzmq or Rust end the process.
fn has_room() -> anyhow::Result<()> {
    const FILES: u64 = 32;
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

/// Runs the kernel until somebody ends it; then the process is gone.
fn run(args: &KernelArgs) -> anyhow::Result<()> {
    let connection = Connection::read(&args.connection_file)?;
    let python = python::find(&args.python)?;
    python::quick_check(&python)?;
    has_room()?;
    let stderr = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stderr(), 3)?;
    log::start(stderr.try_clone()?);
    working_folder::leave_deleted();
    let crash = Crash::begin(&args.connection_file, &stderr)?;
    if let Err(error) = interposed::begin() {
        tracing::warn!(%error, "who starts threads will not be known");
    }

    // debugpy is the debugger; it is imported by the first request for it.
    let features = if python::has_package(&python, "debugpy") {
        &FEATURES[..]
    } else {
        &FEATURES[..1]
    };
    let info = KernelInfo::new(env!("CARGO_PKG_VERSION"), &host::python_version(), features);
    let info = serde_json::to_vec(&info)?;
    // Clients can connect from here on; what they send waits until Python is there, and so does an interrupt.
    signals::hold_interrupts();
    let io = signals::with_all_blocked(|| -> anyhow::Result<_> {
        let sockets = Sockets::bind(&connection)?;
        let kernel = Kernel::new(connection, info, crash)?;
        Ok((io::spawn(std::sync::Arc::clone(&kernel), sockets)?, kernel))
    });
    let (io, kernel) = io.context("the kernel could not listen")?;
    let ended = host::run(&kernel, &options(args, &python, &stderr));
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

fn options<'a>(args: &'a KernelArgs, python: &'a Path, stderr: &OwnedFd) -> host::Options<'a> {
    host::Options {
        python,
        connection_file: &args.connection_file,
        stderr: stderr.as_raw_fd(),
        arguments: &args.ipython,
    }
}

fn say(text: &str) -> anyhow::Result<()> {
    match writeln!(std::io::stdout(), "{text}") {
        // Who reads has seen enough, as `head` does.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

#[allow(clippy::print_stderr, reason = "the command line speaks to its user")]
fn complain(text: &str) {
    eprintln!("{text}");
}
