//! The list of all magics, and how one of them answers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use crate::cli;
use crate::error::Error;
use crate::magic::{Context, Form, Magic, Questions};
use crate::magics::{
    addr_map, buffer_addr, buffer_trace, crash_report, diaphane, disasm, loaded_libs, memory,
    native_calls, native_delta, native_doctor, native_prof, process_tree, rust, rust_reset,
    rust_status, stack, syscalls, threads, trace_loads, where_func, why_import,
};
use crate::pages::glossary;
use diaphane_report::{Report, Schema};
use diaphane_sight::proc::descriptors;

/// A magic without its type, as one line of [`ALL`].
pub(crate) struct Entry {
    pub name: &'static str,
    pub form: Form,
    pub questions: Questions,
    pub takes_statement: bool,
    pub schema: &'static Schema,
    pub command: fn() -> clap::Command,
    pub only_looks: fn(&str) -> bool,
    run: fn(&str, &Context<'_, '_>) -> Result<Asked, Error>,
}

/// A report and what the user asked to do with it.
pub(crate) struct Asked {
    pub report: Report,
    pub bind: Option<String>,
}

/// Every magic there is, in the order in which `%diaphane` tells of them: what people ask most often first.
pub(crate) const ALL: &[Entry] = &[
    entry::<native_prof::NativeProf>(),
    entry::<memory::Memory>(),
    entry::<threads::Threads>(),
    entry::<buffer_addr::BufferAddr>(),
    entry::<addr_map::AddrMap>(),
    entry::<buffer_trace::BufferTrace>(),
    entry::<native_doctor::NativeDoctor>(),
    entry::<stack::Stack>(),
    entry::<why_import::WhyImport>(),
    entry::<crash_report::CrashReport>(),
    entry::<loaded_libs::LoadedLibs>(),
    entry::<native_delta::NativeDelta>(),
    entry::<native_calls::NativeCalls>(),
    entry::<where_func::Where>(),
    entry::<disasm::Disasm>(),
    entry::<syscalls::Syscalls>(),
    entry::<trace_loads::TraceLoads>(),
    entry::<process_tree::ProcessTree>(),
    entry::<rust::Rust>(),
    entry::<rust_status::RustStatus>(),
    entry::<rust_reset::RustReset>(),
    entry::<diaphane::Diaphane>(),
];

const fn entry<M: Magic>() -> Entry {
    Entry {
        name: M::NAME,
        form: M::FORM,
        questions: M::QUESTIONS,
        takes_statement: M::STATEMENT.is_some(),
        schema: M::SCHEMA,
        command: cli::command::<M::Args>,
        only_looks: only_looks::<M>,
        run: run::<M>,
    }
}

/// Asks the magic of a name; a panic is an error too.
pub(crate) fn guarded(name: &str, line: &str, context: &Context<'_, '_>) -> Result<Asked, Error> {
    let panicked = |_| Err(Error::Panic(name.to_owned(), line.to_owned()));
    let answer = || descriptors::with_spare(|| answer(name, line, context));
    has_memory(name)?;
    catch_unwind(AssertUnwindSafe(answer)).unwrap_or_else(panicked)
}

/// Whether there is room for an answer. Where Rust finds no memory it ends the process, so it is asked before.
fn has_memory(name: &str) -> Result<(), Error> {
    const ENOUGH: usize = 16 << 20;
    let room = Vec::<u8>::new().try_reserve_exact(std::hint::black_box(ENOUGH));
    room.map_err(|_| {
        Error::Usage(format!(
            "%{name}: less than {} MiB of memory are left here, too little for an answer; raise the limit (ulimit -v), or \
             delete what is large",
            ENOUGH >> 20
        ))
    })
}

/// What another magic answers, for a magic that asks it.
pub(crate) fn ask(name: &str, line: &str, context: &Context<'_, '_>) -> Result<Report, Error> {
    answer(name, line, context).map(|asked| asked.report)
}

/// All magics as they are written, with the questions that they answer.
pub(crate) fn questions() -> Vec<(String, Questions)> {
    let written = |magic: &Entry| (magic.form.write(magic.name), magic.questions);
    ALL.iter().map(written).collect()
}

fn answer(name: &str, line: &str, context: &Context<'_, '_>) -> Result<Asked, Error> {
    let Some(magic) = ALL.iter().find(|magic| magic.name == name) else {
        return Err(unknown(name));
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

/// That there is no magic of a name, and which one may be meant.
pub(crate) fn unknown(name: &str) -> Error {
    let meant = diaphane_report::spelling::did_you_mean(name, ALL.iter().map(|magic| magic.name));
    Error::Usage(format!("there is no magic %{name}{meant}"))
}

fn only_looks<M: Magic>(line: &str) -> bool {
    cli::parse::<M::Args>(M::NAME, line).is_ok_and(|line| M::only_looks(&line.own))
}

fn run<M: Magic>(line: &str, context: &Context<'_, '_>) -> Result<Asked, Error> {
    let started = Instant::now();
    let (options, statement) = match (M::STATEMENT, context.cell) {
        (Some(implied), None) => {
            let (options, statement) = cli::options_and_statement::<M::Args>(line);
            if statement.is_empty() {
                let name = M::NAME;
                return Err(Error::Usage(format!(
                    "%{name} needs a statement behind it, as in %{name} f(x); above a cell write %%{name}"
                )));
            }
            (format!("{implied} {options}"), Some(statement))
        }
        _ => (line.to_owned(), None),
    };
    let line = options.as_str();
    let context = &Context {
        cell: statement.or(context.cell),
        ..*context
    };
    let line = cli::parse::<M::Args>(&M::FORM.write(M::NAME), line)?;
    let mut report = M::run(&line.own, context)?;
    report.arrange(&line.common.arrangement())?;
    report.described = M::SCHEMA.rows.first();
    report.words = glossary::words_of(&report);
    report.took = started.elapsed();
    Ok(Asked {
        report,
        bind: line.common.bind,
    })
}
