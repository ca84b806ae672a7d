//! The command line of the kernel.

mod embed;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser as _, Subcommand};
use diaphane::cli::{self, Command, CommandLine, KernelArgs};
use diaphane::door::{self, Opening};
use diaphane::install::Started;
use diaphane::python;

/// What only the program that embeds Python has.
#[derive(Subcommand)]
enum Own {
    /// Run the kernel; Jupyter does this.
    Kernel {
        /// The Python whose packages are used: a venv's bin/python, or any other.
        #[arg(long, value_name = "PYTHON", default_value = python::BUILT_WITH)]
        python: PathBuf,
        #[command(flatten)]
        kernel: KernelArgs,
    },
}

fn main() -> ExitCode {
    let done = match CommandLine::parse().command {
        Command::Own(Own::Kernel { python, kernel }) => run(&python, &kernel),
        Command::Common(common) => common.run(Started::Program),
    };
    ExitCode::from(cli::finish(done))
}

/// Runs the kernel until somebody ends it; then the process is gone.
fn run(python: &Path, args: &KernelArgs) -> anyhow::Result<()> {
    let python = python::find(python)?;
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
