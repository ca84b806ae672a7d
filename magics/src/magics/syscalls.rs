//! `%%syscalls`: the system calls that a cell makes, with arguments, results and times, and who made them.

mod callers;
mod choice;
mod decode;
mod events;
mod fallback;
mod findings;
mod flags;
mod rows;
mod signatures;
mod snapshot;
mod timeline;

use std::collections::HashMap;

use clap::ValueEnum;
use diaphane_trace::syscalls::{Plan, Recording, Refused, Witness, begin};
use serde_json::json;

#[allow(
    unused_imports,
    reason = "for magics that trace what else a cell opens"
)]
pub(crate) use events::{Open, opens};

use crate::error::Error;
use crate::magic::{Context, Form, Magic, User};
use crate::magics::syscalls::snapshot::Seen;
use crate::session::cell_body::Body;
use crate::session::journal;
use choice::Choice;
use diaphane_cpython::{check, here, support};
use diaphane_report::{Column, Report, Show, fields, rows};

/// Run the cell, and show the system calls that it makes: what for, how long, and by whom.
///
/// The calls of the cell's thread are seen, and those of threads that it starts, without privileges and without another
/// process. The cell runs as it would without the magic.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
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

const GROUPED: &[Column] = &[
    Column::new("call", Show::Text, 0).optional(),
    Column::new("tid", Show::Number, 0).optional(),
    Column::new("path", Show::Path, 1).optional(),
    Column::new("python", Show::Text, 0)
        .titled("function")
        .at_least(24)
        .optional(),
    Column::new("calls", Show::Number, 0),
    Column::new("errors", Show::Number, 3),
    Column::new("total_ns", Show::Time, 0).titled("time"),
    Column::new("mean_ns", Show::Time, 5).titled("mean"),
    Column::new("max_ns", Show::Time, 6).titled("longest"),
    Column::new("library", Show::Text, 1)
        .titled("made by")
        .optional(),
    Column::new("place", Show::Text, 2)
        .titled("mostly at")
        .at_least(9)
        .optional(),
];

const LISTED: &[Column] = &[
    Column::new("began_ns", Show::Time, 3).titled("at"),
    Column::new("tid", Show::Number, 6),
    Column::new("call", Show::Text, 0),
    Column::new("arguments", Show::Text, 0),
    Column::new("result", Show::Text, 1),
    Column::new("took_ns", Show::Time, 4).titled("took"),
    Column::new("library", Show::Text, 5).titled("made by"),
    Column::new("place", Show::Text, 2).at_least(9).optional(),
];

/// The magic.
pub(crate) struct Syscalls;

impl Magic for Syscalls {
    const NAME: &'static str = "syscalls";
    const FORM: Form = Form::Cell;
    type Args = Args;

    fn run(args: &Args, context: &Context<'_, '_>) -> Result<Report, Error> {
        let user = context.user()?;
        let set = args.trace.as_deref().map(choice::parse).transpose();
        let choice = set.map_err(|error| Error::Usage(format!("%%syscalls: --trace: {error}")))?;
        let body = Body::prepare(Self::NAME, context.cell.unwrap_or_default(), user)?;
        check(user.py);
        let witness = here::begin(&body.file).map(|state| Witness::new(here::note, state));
        let plan = Plan {
            room: ROOM,
            only: None,
            stacks: true,
            witness,
        };
        let running = match begin(plan) {
            Ok(running) => running,
            Err(Refused::Busy) => {
                return Err(Error::Usage(
                    "%%syscalls: a cell whose system calls are shown is running already".into(),
                ));
            }
            Err(refused) => return fallback::run(&body, refused),
        };
        let outcome = body.run();
        let recording = running.end();
        outcome?;
        report(args, &choice.unwrap_or_default(), &recording, user)
    }
}

fn report(
    args: &Args,
    choice: &Choice,
    recording: &Recording,
    user: User<'_, '_>,
) -> Result<Report, Error> {
    let libraries = snapshot::libraries()?;
    let cell = journal::running_cell();
    let seen = snapshot::seen(recording, choice, &libraries, cell, user)?;
    let opens = opens(recording);
    let births = events::births(recording);
    let mut report = Report {
        name: Syscalls::NAME,
        facts: fields(json!({
            "source": "syscall user dispatch",
            "calls": recording.calls.len(),
            "shown": seen.len(),
            "elapsed_ns": recording.elapsed_ns,
            "files": opens,
            "births": births,
            "threads": recording.threads,
            "lost": recording.lost,
        }))?,
        summary: timeline::summary(recording, &seen, &opens, &births),
        diagnoses: findings::all(recording, &seen, user.py),
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
        report.columns = LISTED;
        report.rows = rows(rows::each(&seen))?;
    } else {
        report.columns = GROUPED;
        report.rows = rows(rows::grouped(args.by, &seen))?;
    }
    Ok(report)
}

/// A line as strace writes it, with the thread where there are several.
fn line(recording: &Recording, one: &Seen<'_>) -> String {
    let line = decode::line(one.call);
    if recording.threads.len() > 1 {
        format!("[pid {:>5}] {line}", one.call.tid)
    } else {
        line
    }
}
