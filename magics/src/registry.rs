//! The list of all magics, and how one of them answers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use crate::cli;
use crate::cli::{Common, Line};
use crate::error::Error;
use crate::magic::{
    Context, Form, Magic, Questions, Ran, RecordedCode, Recording, User, Way, stack_pointer,
};
use crate::magics::{
    addr_map, buffer_addr, buffer_trace, buffer_writes, crash_report, diaphane, disasm,
    loaded_libs, memory, monitor, native_calls, native_delta, native_doctor, native_prof,
    process_tree, rust, rust_reset, rust_status, stack, syscalls, threads, trace_loads,
    watch_buffer, where_func, why_import,
};
use crate::pages::glossary;
use crate::session::cell_body::Body;
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
    pub records: bool,
    pub changes: bool,
    run: fn(Line<'_>, &Context<'_, '_>) -> Result<Asked, Error>,
    begin: fn(Line<'_>, &RecordedCode, &Context<'_, '_>) -> Result<Begun, Error>,
}

/// A report and what the user asked to do with it.
pub(crate) struct Asked {
    pub report: Report,
    pub bind: Option<String>,
}

/// Every magic there is, in the order in which `%diaphane` tells of them: what people ask most often first.
pub(crate) const ALL: &[Entry] = &[
    entry::<native_prof::NativeProf>(),
    entry::<monitor::MonitorMagic>(),
    entry::<memory::Memory>(),
    entry::<threads::Threads>(),
    entry::<buffer_addr::BufferAddr>(),
    entry::<addr_map::AddrMap>(),
    entry::<buffer_trace::BufferTrace>(),
    entry::<buffer_writes::BufferWrites>(),
    entry::<watch_buffer::WatchBuffer>(),
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
        records: M::RECORDS,
        changes: M::CHANGES,
        run: run::<M>,
        begin: begin_of::<M>,
    }
}

/// Asks the magic of a name; a panic is an error too.
pub(crate) fn guarded(
    name: &str,
    line: Line<'_>,
    context: &Context<'_, '_>,
) -> Result<Asked, Error> {
    let panicked = |_| Err(Error::Panic(name.to_owned(), line.to_string()));
    let answer = || descriptors::with_spare(|| answer(name, line, context));
    has_memory(name)?;
    catch_unwind(AssertUnwindSafe(answer)).unwrap_or_else(panicked)
}

/// Whether there is room for an answer. Where Rust finds no memory it ends the process, so it is asked before.
fn has_memory(name: &str) -> Result<(), Error> {
    const ENOUGH: usize = 16 << 20;
    // One more than the kernel keeps for when there is none.
    let room = Vec::<u8>::new().try_reserve_exact(std::hint::black_box(ENOUGH + 1));
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
    answer(name, Line::Text(line), context).map(|asked| asked.report)
}

/// All magics as they are written, with the questions that they answer.
pub(crate) fn questions() -> Vec<(String, Questions)> {
    let written = |magic: &Entry| (magic.form.write(magic.name), magic.questions);
    ALL.iter().map(written).collect()
}

fn answer(name: &str, line: Line<'_>, context: &Context<'_, '_>) -> Result<Asked, Error> {
    let magic = entry_of(name)?;
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
    cli::parse::<M::Args>(M::NAME, Line::Text(line)).is_ok_and(|line| M::only_looks(&line.own))
}

fn run<M: Magic>(line: Line<'_>, context: &Context<'_, '_>) -> Result<Asked, Error> {
    let started = Instant::now();
    let (options, statement) = match (M::STATEMENT, context.cell, line) {
        (Some(implied), None, Line::Text(line)) => {
            match cli::options_and_statement::<M::Args>(line) {
                (_, "") => (None, None),
                (options, statement) => (Some(format!("{implied} {options}")), Some(statement)),
            }
        }
        _ => (None, None),
    };
    let line = options.as_deref().map_or(line, Line::Text);
    let context = &Context {
        cell: statement.or(context.cell),
        ..*context
    };
    let line = cli::parse::<M::Args>(&M::FORM.write(M::NAME), line)?;
    let report = match context.cell {
        Some(cell) if M::RECORDS => {
            let py = context.user()?.py;
            line.common
                .check(&format!("%%{}", M::NAME), M::SCHEMA, py)?;
            recorded::<M>(&line.own, cell, context)?
        }
        _ => M::run(&line.own, context)?,
    };
    finished::<M>(report, line.common, started)
}

/// Runs a cell while it is recorded.
fn recorded<M: Magic>(
    args: &M::Args,
    cell: &str,
    context: &Context<'_, '_>,
) -> Result<Report, Error> {
    let user = context.user()?;
    let mut body = Body::prepare(M::NAME, cell, user)?;
    body.code.way = Way::Module {
        floor: stack_pointer(),
    };
    let recording = M::begin(args, &body.code, context)?;
    let ran = body.run_while(|| recording.wants_more())?;
    recording.end(&body.code, user, ran)
}

/// Arranges a report as the line says.
fn finished<M: Magic>(
    mut report: Report,
    common: Common,
    started: Instant,
) -> Result<Asked, Error> {
    report.arrange(&common.arrangement())?;
    report.described = M::SCHEMA.rows.first();
    report.words = glossary::words_of(&report);
    report.took = started.elapsed();
    Ok(Asked {
        report,
        bind: common.bind,
    })
}

fn begin_of<M: Magic>(
    line: Line<'_>,
    code: &RecordedCode,
    context: &Context<'_, '_>,
) -> Result<Begun, Error> {
    let started = Instant::now();
    let line = cli::parse::<M::Args>(&M::FORM.write(M::NAME), line)?;
    let py = context.user()?.py;
    line.common.check(M::NAME, M::SCHEMA, py)?;
    let recording = M::begin(&line.own, code, context)?;
    Ok(Begun {
        recording,
        common: line.common,
        started,
        finish: finished::<M>,
    })
}

/// A recording that runs, with what its line says of the report.
pub(crate) struct Begun {
    recording: Box<dyn Recording>,
    common: Common,
    started: Instant,
    finish: fn(Report, Common, Instant) -> Result<Asked, Error>,
}

impl Begun {
    /// Ends it; a panic is an error too.
    pub fn end(self, code: &RecordedCode, user: User<'_, '_>) -> Result<Report, Error> {
        let end = || {
            let report = self.recording.end(code, user, Ran::ONCE)?;
            (self.finish)(report, self.common, self.started)
        };
        let ended = catch_unwind(AssertUnwindSafe(|| descriptors::with_spare(end)));
        let asked =
            ended.unwrap_or_else(|_| Err(Error::Panic("recording".into(), String::new())))?;
        Ok(asked.report)
    }
}

/// Has the magic of a name record; a panic is an error too.
pub(crate) fn begin_guarded(
    name: &str,
    line: Line<'_>,
    code: &RecordedCode,
    context: &Context<'_, '_>,
) -> Result<Begun, Error> {
    let magic = entry_of(name)?;
    has_memory(name)?;
    let begin = || descriptors::with_spare(|| (magic.begin)(line, code, context));
    let panicked = |_| Err(Error::Panic(name.to_owned(), line.to_string()));
    catch_unwind(AssertUnwindSafe(begin)).unwrap_or_else(panicked)
}

/// Has another magic record, for a magic whose option means that one.
pub(crate) fn begin(
    name: &str,
    line: &str,
    code: &RecordedCode,
    context: &Context<'_, '_>,
) -> Result<Box<dyn Recording>, Error> {
    let begun = (entry_of(name)?.begin)(Line::Text(line), code, context)?;
    Ok(begun.recording)
}

/// The magic of a name.
pub(crate) fn entry_of(name: &str) -> Result<&'static Entry, Error> {
    let found = ALL.iter().find(|magic| magic.name == name);
    found.ok_or_else(|| unknown(name))
}
