//! The part of the command line that every door has: how a kernel is started and installed, and questions to running
//! kernels and to other processes.

mod ask;
mod mcp;
mod running_kernels;
mod top;

use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::install::{self, Started};

/// A Jupyter kernel that lets you see through Python to the native code.
#[derive(Parser)]
#[command(name = "diaphane", version, arg_required_else_help = true)]
pub struct CommandLine<Own: Subcommand> {
    /// The command.
    #[command(subcommand)]
    pub command: Command<Own>,
}

/// A command: of every door, or of one door only.
#[derive(Subcommand)]
pub enum Command<Own: Subcommand> {
    #[command(flatten)]
    #[allow(missing_docs, reason = "it would be taken for a heading")]
    Own(Own),
    #[command(flatten)]
    #[allow(missing_docs, reason = "it would be taken for a heading")]
    Common(Common),
}

/// What every kernel is started with.
#[derive(Args)]
pub struct KernelArgs {
    /// The connection file that Jupyter wrote.
    #[arg(short = 'f', long, value_name = "FILE")]
    pub connection_file: PathBuf,
    /// Options for IPython, as `--profile=work` or `--InteractiveShell.colors=nocolor`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub ipython: Vec<String>,
}

/// What needs no Python that runs.
#[derive(Subcommand)]
pub enum Common {
    /// Ask a running kernel: `diaphane ask threads`, also when its cell hangs.
    Ask(ask::AskArgs),
    /// List the kernels that run here, with their notebooks and what they do.
    List,
    /// Watch a kernel, or any process with Python, as it works: who has the GIL, what its cell does, threads, memory.
    Top(top::TopArgs),
    /// Offer the questions of `ask` to agents and editors, as tools of the Model Context Protocol over stdin and stdout.
    Mcp,
    /// Show what a process with Python runs, from outside: a kernel that does not answer, or any script.
    Stack(diaphane_magics::StackArgs),
    /// Make one report of many processes' ones: `diaphane merge w0.json w1.json`.
    Merge(diaphane_magics::MergeArgs),
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

impl Common {
    /// Does it, and says what came of it. `started` is how this door's kernel is started.
    ///
    /// # Errors
    /// When it cannot be done: a sentence for the user.
    pub fn run(self, started: Started<'_>) -> anyhow::Result<()> {
        match self.answer(started)? {
            // What has said all by itself.
            nothing if nothing.is_empty() => Ok(()),
            answer => say(&answer),
        }
    }

    fn answer(self, started: Started<'_>) -> anyhow::Result<String> {
        match self {
            Self::Ask(args) => ask::ask(&args, complain),
            Self::Top(args) => top::top(&args, complain),
            Self::Mcp => mcp::serve().map(|()| String::new()),
            Self::List => Ok(running_kernels::list()),
            Self::Stack(args) => {
                diaphane_magics::stack_of_process(&args).map_err(anyhow::Error::msg)
            }
            Self::Merge(args) => diaphane_magics::merge_files(&args).map_err(anyhow::Error::msg),
            Self::CrashReport(args) => Ok(diaphane_magics::tell_of_crash(&args)),
            Self::Schema { magic } => {
                let schemas = diaphane_magics::schemas(magic.as_deref());
                let schemas = schemas.map_err(anyhow::Error::msg)?;
                Ok(serde_json::to_string_pretty(&schemas)?)
            }
            Self::Install(args) => install::install(&args, started),
            Self::Uninstall(args) => install::uninstall(&args, started),
        }
    }
}

/// Writes an answer to standard output.
///
/// # Errors
/// When it takes no text.
pub fn say(text: &str) -> anyhow::Result<()> {
    match writeln!(std::io::stdout(), "{text}") {
        // Who reads has seen enough, as `head` does.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// Writes a complaint to standard error.
#[allow(clippy::print_stderr, reason = "the command line speaks to its user")]
pub fn complain(text: &str) {
    eprintln!("{text}");
}

/// The exit code of a command, whose complaint is written.
#[must_use]
pub fn finish(done: anyhow::Result<()>) -> u8 {
    match done {
        Ok(()) => 0,
        Err(error) => {
            complain(&format!("diaphane: {error:#}"));
            1
        }
    }
}
