//! The magics: questions about the native side of this process, asked from a notebook or any Python.
//!
//! A magic is one type in one file: it parses its line, asks `diaphane-sight`, and gives back a report.
//! [`register`] puts all of them into a Python module. Nothing here reads `/proc`, draws to a terminal or knows which
//! kernel it runs in.

mod args;
mod buffer_addr;
mod buffers;
mod error;
mod loaded_libs;
mod numpy_array;
mod python;
mod report;
mod threads;
mod view;

use std::time::Instant;

use clap::CommandFactory;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::error::Error;
use crate::report::Report;

/// Adds `run_magic`, `magic_list` and the class `Report` to a Python module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    loaded_libs::remember_what_is_loaded();
    python::register(module)
}

/// A question that can be asked.
trait Magic {
    /// The name after the percent sign.
    const NAME: &'static str;
    /// What may stand on the line; its documentation is the magic's.
    type Args: clap::Parser + AsRef<args::Common>;

    /// Answers.
    fn run(args: &Self::Args, context: &Context<'_, '_>) -> Result<Report, Error>;
}

/// What a magic may look at besides the process.
struct Context<'a, 'py> {
    py: Python<'py>,
    /// The user's variables.
    namespace: &'a Bound<'py, PyDict>,
}

/// A magic without its type, as one line of [`ALL`].
struct Entry {
    name: &'static str,
    command: fn() -> clap::Command,
    run: fn(&str, &Context<'_, '_>) -> Result<Asked, Error>,
}

/// A report and what the user asked to do with it.
struct Asked {
    report: Report,
    bind: Option<String>,
}

/// Every magic there is.
const ALL: &[Entry] = &[
    entry::<loaded_libs::LoadedLibs>(),
    entry::<threads::Threads>(),
    entry::<buffer_addr::BufferAddr>(),
];

const fn entry<M: Magic>() -> Entry {
    Entry {
        name: M::NAME,
        command: M::Args::command,
        run: run::<M>,
    }
}

fn run<M: Magic>(line: &str, context: &Context<'_, '_>) -> Result<Asked, Error> {
    let started = Instant::now();
    let args: M::Args = args::parse(M::NAME, line)?;
    let common = args.as_ref();
    let mut report = M::run(&args, context)?;
    report.arrange(common)?;
    report.took = started.elapsed();
    Ok(Asked {
        report,
        bind: common.bind.clone(),
    })
}
