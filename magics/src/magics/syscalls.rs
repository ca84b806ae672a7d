//! `%%syscalls`: the system calls that a cell makes, with arguments, results and times, and who made them.

mod callers;
mod choice;
mod columns;
mod decode;
mod diagnoses;
mod events;
mod fallback;
mod flags;
mod rows;
mod signatures;
mod snapshot;
mod timeline;

use std::collections::HashMap;
use std::time::Instant;

use clap::ValueEnum;
use diaphane_sight::linker::libraries;
use diaphane_sight::proc::maps::Maps;
use diaphane_trace::syscalls::{
    RunningSyscalls, SignalSafeCallback, SyscallPlan, SyscallRecording, SyscallsRefused, begin,
    call_ns,
};
use serde_json::json;

#[allow(
    unused_imports,
    reason = "for magics that trace what else a cell opens"
)]
pub(crate) use events::{OpenedFile, opens};

use crate::error::Error;
use crate::magic::{
    Context, Form, Magic, Questions, Ran, RecordedCode, Recording, User, Way, stack_pointer,
};
use crate::magics::syscalls::snapshot::SeenCall;
use choice::CallFilter;
use diaphane_cpython::{check, here, support};
use diaphane_report::{Report, Schema, fields, rows};

/// Run the cell, and show the system calls that it makes: what for, how long, and by whom.
///
/// The calls of the cell's thread are seen, and those of threads that it starts, without privileges and without another
/// process. The cell runs as it would without the magic.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct SyscallsArgs {
    /// Only these calls, as strace names them: openat,read or a group such as %file, %desc, %memory, %process,
    /// %network, %signal; a ! in front means all others
    #[arg(long, value_name = "SET")]
    trace: Option<String>,
    /// What is one row: the calls of a name and a library, of a library, of a line of the cell, of a Python function,
    /// of a path, of a thread
    #[arg(
        long,
        value_name = "call|library|line|function|path|thread",
        default_value = "call",
        hide_possible_values = true
    )]
    by: By,
    /// One row for each call, with its arguments
    #[arg(long)]
    list: bool,
    /// One line for each call, as strace writes it
    #[arg(long)]
    strace: bool,
}

/// What calls of a row have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum By {
    Call,
    Library,
    Line,
    Function,
    Path,
    Thread,
}

/// How much each thread may write: some hundred thousand calls.
const ROOM: usize = 256 << 20;

/// The magic.
pub(crate) struct Syscalls;

impl Magic for Syscalls {
    const NAME: &'static str = "syscalls";
    const FORM: Form = Form::Cell;
    const QUESTIONS: Questions = &[("What does a cell ask of Linux: files, network, waits?", "")];
    const RECORDS: bool = true;
    const SCHEMA: &'static Schema = &columns::SCHEMA;
    type Args = SyscallsArgs;

    fn begin(
        args: &SyscallsArgs,
        code: &RecordedCode,
        context: &Context<'_, '_>,
    ) -> Result<Box<dyn Recording>, Error> {
        let user = context.user()?;
        let set = args.trace.as_deref().map(choice::parse).transpose();
        let choice = set.map_err(|error| Error::Usage(format!("%%syscalls: --trace: {error}")))?;
        check(user.py);
        let callback = here::begin(code.file.bind(user.py))
            .map(|state| SignalSafeCallback::new(here::note, state));
        let plan = SyscallPlan {
            capacity: ROOM,
            only: None,
            stacks: true,
            floor: stack_end(code),
            callback,
        };
        let call_ns = call_ns(plan);
        match begin(plan) {
            Ok(running) => Ok(Box::new(TracedCalls {
                args: args.clone(),
                choice: choice.unwrap_or_default(),
                call_ns,
                running,
                started: Instant::now(),
            })),
            Err(SyscallsRefused::Busy) => Err(Error::Usage(
                "%%syscalls: the system calls of other code are recorded already, by %%syscalls or %%trace_loads; wait until \
                 that ends"
                    .into(),
            )),
            Err(refused) => Ok(fallback::begin(refused, user)),
        }
    }
}

/// How far the stack of the code reaches: a block was entered before the recording began.
fn stack_end(code: &RecordedCode) -> usize {
    let here = stack_pointer();
    let stack = (code.way == Way::Block)
        .then(|| Maps::at(here).ok())
        .flatten();
    stack
        .and_then(|maps| Some(maps.find(here)?.span.end))
        .unwrap_or(0)
}

/// A recording, with what it needs for its report.
struct TracedCalls {
    args: SyscallsArgs,
    choice: CallFilter,
    call_ns: Option<f64>,
    running: RunningSyscalls,
    started: Instant,
}

impl Recording for TracedCalls {
    fn end(
        self: Box<Self>,
        code: &RecordedCode,
        user: User<'_, '_>,
        _ran: Ran,
    ) -> Result<Report, Error> {
        let elapsed = self.started.elapsed();
        let recording = SyscallRecording {
            call_ns: self.call_ns,
            ..self.running.end()
        };
        let report = report(&self.args, &self.choice, &recording, (code, user))?;
        let own = nix::unistd::gettid().as_raw();
        Ok(Report {
            plain: recording.plain(elapsed, own),
            ..report
        })
    }
}

fn report(
    args: &SyscallsArgs,
    choice: &CallFilter,
    recording: &SyscallRecording,
    (code, user): (&RecordedCode, User<'_, '_>),
) -> Result<Report, Error> {
    let libraries = libraries::now()?;
    let seen = snapshot::seen(recording, choice, &libraries, code, user)?;
    let opens = opens(recording);
    let creations = events::creations(recording);
    let mut report = Report {
        name: Syscalls::NAME,
        facts: fields(json!({
            "source": "syscall user dispatch",
            "calls": recording.calls.len(),
            "shown": seen.len(),
            "elapsed_ns": recording.elapsed_ns,
            "files": opens,
            "started": creations,
            "threads": recording.threads,
            "lost": recording.lost,
        }))?,
        summary: timeline::summary(recording, &seen, &opens, &creations),
        diagnoses: diagnoses::all(recording, &seen, user.py),
        limits: [timeline::limits(recording), Vec::from_iter(support())].concat(),
        ..Report::default()
    };
    if args.strace {
        let lines = seen
            .iter()
            .map(|one| (one.index.to_string(), vec![line(recording, one)]));
        report.row_listings = Some(("index", lines.collect::<HashMap<_, _>>()));
        report.rows = rows(rows::each(&seen))?;
    } else if args.list {
        report.columns = columns::LISTED;
        report.rows = rows(rows::each(&seen))?;
    } else {
        report.columns = columns::GROUPED;
        report.rows = rows(rows::grouped(args.by, &seen))?;
    }
    Ok(report)
}

/// A line as strace writes it, with the thread where there are several.
fn line(recording: &SyscallRecording, one: &SeenCall<'_>) -> String {
    let line = decode::line(one.call);
    if recording.threads.len() > 1 {
        format!("[pid {:>5}] {line}", one.call.tid)
    } else {
        line
    }
}
