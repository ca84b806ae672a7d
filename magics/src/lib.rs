//! The magics: questions about the native side of this process, asked from a notebook or any Python.
//!
//! A magic is one type in one file: it parses its line, asks `diaphane-sight`, and gives back a report.
//! [`register`] puts all of them into a Python module; [`ask`] answers without Python. Nothing here reads `/proc`, draws to a terminal or knows which
//! kernel it runs in.

mod addr_map;
mod allocated;
mod args;
mod arguments;
mod array_functions;
mod ask;
mod boundary;
mod buffer_addr;
mod buffer_trace;
mod buffers;
mod callable;
mod cell_body;
mod disasm;
mod error;
mod extensions;
mod journal;
mod loaded_libs;
mod loads;
mod native;
mod native_calls;
mod native_delta;
mod native_doctor;
mod native_prof;
mod numpy_array;
mod process_tree;
mod python;
mod python_events;
mod reach;
mod report;
mod rust_cells;
mod signatures;
mod stack;
mod syscalls;
mod target;
mod threads;
mod trace_loads;
mod trail;
mod ufunc;
mod variants;
mod view;
mod where_func;
mod why_import;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use pyo3::prelude::*;
use pyo3::types::PyDict;

pub use crate::ask::{Refusal, ask, may_ask_twice};
use crate::error::Error;
use crate::report::Report;
pub use crate::stack::{StackArgs, stack_of_process};
pub use crate::view::Bundle;
pub use diaphane_trace::deep::{let_be_stopped, let_run};
#[cfg(target_arch = "x86_64")]
pub use diaphane_trace::syscalls::install_handler;

/// Adds `run_magic`, `magic_list`, `set_namespace`, `begin_cell`, `end_cell`, `rust_complete`, `rust_inspect` and the class
/// `Report` to a Python module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    journal::open();
    loads::listen(module.py());
    loaded_libs::remember_what_is_loaded();
    python::register(module)
}

/// What the cell that ended last has changed, for its reply's metadata; nothing unless the user switched that on.
#[must_use]
pub fn delta_of_last_cell() -> Option<serde_json::Value> {
    native_delta::for_the_reply()
}

/// A question that can be asked.
trait Magic {
    /// The name after the percent sign.
    const NAME: &'static str;
    /// Whether it stands on a line or above a cell.
    const FORM: Form = Form::Line;
    /// What may stand on the line; its documentation is the magic's.
    type Args: clap::Args;

    /// Whether the question may be asked twice: it leaves nothing behind, takes its time only for looking, and its
    /// answer does not depend on when it was asked last.
    fn only_looks(_args: &Self::Args) -> bool {
        true
    }

    /// Answers.
    fn run(args: &Self::Args, context: &Context<'_, '_>) -> Result<Report, Error>;
}

/// How a magic is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `%name`, on one line.
    Line,
    /// `%%name`, above the cell that it runs.
    Cell,
}

impl Form {
    /// The name with its percent signs.
    fn write(self, name: &str) -> String {
        match self {
            Self::Line => format!("%{name}"),
            Self::Cell => format!("%%{name}"),
        }
    }
}

/// What a magic may look at besides the process.
struct Context<'a, 'py> {
    /// Python, unless the question came from a thread that does not hold the GIL.
    user: Option<User<'a, 'py>>,
    /// The cell below the magic.
    cell: Option<&'a str>,
}

/// Python and what the user made in it.
#[derive(Clone, Copy)]
struct User<'a, 'py> {
    py: Python<'py>,
    /// The user's variables.
    namespace: &'a Bound<'py, PyDict>,
}

impl<'a, 'py> Context<'a, 'py> {
    /// Python, for a magic that cannot answer without.
    fn user(&self) -> Result<User<'a, 'py>, Error> {
        self.user.ok_or(Error::NeedsPython)
    }

    /// Looks at the process while Python's other threads go on.
    fn without_gil<T: Send>(&self, look: impl FnOnce() -> T + Send) -> T {
        match self.user {
            Some(user) => user.py.detach(look),
            None => look(),
        }
    }
}

/// A magic without its type, as one line of [`ALL`].
struct Entry {
    name: &'static str,
    form: Form,
    command: fn() -> clap::Command,
    only_looks: fn(&str) -> bool,
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
    entry::<why_import::WhyImport>(),
    entry::<threads::Threads>(),
    entry::<buffer_addr::BufferAddr>(),
    entry::<buffer_trace::BufferTrace>(),
    entry::<native_calls::NativeCalls>(),
    entry::<native_delta::NativeDelta>(),
    entry::<native_doctor::NativeDoctor>(),
    entry::<where_func::Where>(),
    entry::<disasm::Disasm>(),
    entry::<addr_map::AddrMap>(),
    entry::<trace_loads::TraceLoads>(),
    entry::<native_prof::NativeProf>(),
    entry::<syscalls::Syscalls>(),
    entry::<process_tree::ProcessTree>(),
    entry::<stack::Stack>(),
    entry::<rust_cells::Rust>(),
    entry::<rust_cells::RustStatus>(),
    entry::<rust_cells::RustReset>(),
];

const fn entry<M: Magic>() -> Entry {
    Entry {
        name: M::NAME,
        form: M::FORM,
        command: args::command::<M::Args>,
        only_looks: only_looks::<M>,
        run: run::<M>,
    }
}

/// Asks the magic of a name; a panic is an error too.
fn guarded(name: &str, line: &str, context: &Context<'_, '_>) -> Result<Asked, Error> {
    let panicked = |_| Err(Error::Panic(name.to_owned(), line.to_owned()));
    catch_unwind(AssertUnwindSafe(|| answer(name, line, context))).unwrap_or_else(panicked)
}

fn answer(name: &str, line: &str, context: &Context<'_, '_>) -> Result<Asked, Error> {
    let Some(magic) = ALL.iter().find(|magic| magic.name == name) else {
        let meant = args::did_you_mean(name, ALL.iter().map(|magic| magic.name));
        return Err(Error::Usage(format!("there is no magic %{name}{meant}")));
    };
    match (magic.form, context.cell) {
        (Form::Line, Some(_)) => Err(Error::Usage(format!(
            "%{name} is a line magic: write it with one percent sign, on one line"
        ))),
        (Form::Cell, None) => Err(Error::Usage(format!(
            "%%{name} is a cell magic: write it with two percent signs, above the code that it runs"
        ))),
        _ => (magic.run)(line, context),
    }
}

fn only_looks<M: Magic>(line: &str) -> bool {
    args::parse::<M::Args>(M::NAME, line).is_ok_and(|line| M::only_looks(&line.own))
}

fn run<M: Magic>(line: &str, context: &Context<'_, '_>) -> Result<Asked, Error> {
    let started = Instant::now();
    let line = args::parse::<M::Args>(&M::FORM.write(M::NAME), line)?;
    let mut report = M::run(&line.own, context)?;
    report.arrange(&line.common)?;
    report.took = started.elapsed();
    Ok(Asked {
        report,
        bind: line.common.bind,
    })
}
