//! The command line of the kernel.

mod embed;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use diaphane::cli::{self, Question, say};
use diaphane::door::{self, Opening};
use diaphane::install::{self, Started};
use diaphane::python;

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
    #[command(flatten)]
    Question(Question),
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
        Command::Question(question) => question.answer().and_then(|text| say(&text)),
        Command::Install(args) => {
            install::install(&args, Started::Program).and_then(|text| say(&text))
        }
        Command::Uninstall(args) => {
            install::uninstall(&args, Started::Program).and_then(|text| say(&text))
        }
    };
    ExitCode::from(cli::finish(done))
}

/// Runs the kernel until somebody ends it; then the process is gone.
fn run(args: &KernelArgs) -> anyhow::Result<()> {
    let python = python::find(&args.python)?;
    python::quick_check(&python)?;
    let program = std::env::current_exe().unwrap_or_default();
    let opening = Opening {
        connection_file: &args.connection_file,
        python_version: &embed::python_version(),
        debugger: python::has_package(&python, "debugpy"),
        command: vec![c"diaphane".to_owned()],
        command_folder: program.parent().unwrap_or(Path::new("")),
        arguments: &args.ipython,
    };
    door::run(opening, |kernel, options| {
        embed::run(&python, kernel, options)
    })
}
