//! The part of the command line that every door has: questions to running kernels and to other processes.

mod ask;
mod running_kernels;

use std::io::{ErrorKind, Write as _};

use clap::Subcommand;

/// A question that needs no kernel of one's own.
#[derive(Subcommand)]
pub enum Question {
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
}

impl Question {
    /// The answer as text.
    ///
    /// # Errors
    /// When there is none: a sentence for the user.
    pub fn answer(self) -> anyhow::Result<String> {
        match self {
            Self::Ask(args) => ask::ask(&args, complain),
            Self::List => Ok(running_kernels::list()),
            Self::Stack(args) => {
                diaphane_magics::stack_of_process(&args).map_err(anyhow::Error::msg)
            }
            Self::CrashReport(args) => Ok(diaphane_magics::tell_of_crash(&args)),
            Self::Schema { magic } => {
                let schemas = diaphane_magics::schemas(magic.as_deref());
                let schemas = schemas.map_err(anyhow::Error::msg)?;
                Ok(serde_json::to_string_pretty(&schemas)?)
            }
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
