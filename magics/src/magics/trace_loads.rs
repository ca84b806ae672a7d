//! `%%trace_loads`: which libraries a cell made the dynamic linker load, in their order: for whom, by which rule they
//! were found, and how long that took.

mod columns;
mod diagnoses;
mod opens;
mod row;
mod seen;
mod snapshot;
mod timeline;
mod tree;

use std::sync::Arc;
use std::time::Instant;

use diaphane_sight::linker::libraries;
use diaphane_sight::linker::libraries::Library;
use diaphane_trace::linker_events as recorder;
use diaphane_trace::linker_events::{
    LinkerEventsRecording, LinkerEventsRefused, RunningLinkerEvents,
};
use serde_json::json;

use self::seen::{Seeing, SeenEvents};
use crate::error::Error;
use crate::magic::{Context, Form, Magic, Questions, Ran, RecordedCode, Recording, User};
use crate::magics::trace_loads::snapshot::LoadsSnapshot;
use crate::magics::trace_loads::timeline::Timeline;
use crate::session::import_audit;
use diaphane_report::view::{bytes, time};
use diaphane_report::{Answer, Report, Schema, fields, rows};

/// Run the cell, and show which native libraries were loaded for it.
///
/// In the order in which the dynamic linker mapped them: what caused each load (an import, a call of dlopen, another
/// library that needs it), the rule by which the file was found, how long the linker and the library's initialisers
/// took, and which files were looked for in vain. The cell runs as it would without the magic.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct TraceLoadsArgs {
    /// List the files that were tried, instead of the libraries
    #[arg(long)]
    files: bool,
    /// Only what failed: files that were not there, calls that loaded nothing
    #[arg(long)]
    fail: bool,
    /// Show who caused what as a tree
    #[arg(long)]
    tree: bool,
    /// The slowest first
    #[arg(long)]
    time: bool,
    /// Write the files that were tried as strace does
    #[arg(long)]
    strace: bool,
}

/// The magic.
pub(crate) struct TraceLoads;

impl Magic for TraceLoads {
    const NAME: &'static str = "trace_loads";
    const FORM: Form = Form::Cell;
    const QUESTIONS: Questions = &[("What makes an import slow: what does the loader do?", "")];
    const RECORDS: bool = true;
    const SCHEMA: &'static Schema = &columns::SCHEMA;
    type Args = TraceLoadsArgs;

    fn begin(
        args: &TraceLoadsArgs,
        _code: &RecordedCode,
        context: &Context<'_, '_>,
    ) -> Result<Box<dyn Recording>, Error> {
        let user = context.user()?;
        import_audit::listen(user.py);
        let before = libraries::now()?;
        let watch = LoadsWatch::begin(&before)?;
        Ok(Box::new(TracedLoads {
            args: args.clone(),
            before,
            watch,
            started: Instant::now(),
        }))
    }
}

/// A recording, with what it needs for its report.
struct TracedLoads {
    args: TraceLoadsArgs,
    before: Vec<Library>,
    watch: LoadsWatch,
    started: Instant,
}

impl Recording for TracedLoads {
    fn end(
        mut self: Box<Self>,
        _code: &RecordedCode,
        user: User<'_, '_>,
        _ran: Ran,
    ) -> Result<Report, Error> {
        let elapsed = self.started.elapsed();
        self.watch.end();
        let watch = &self.watch;
        let snapshot = LoadsSnapshot::of(user.py, &self.before, watch)?;
        let opened = watch.opened.as_ref();
        Ok(Report {
            plain: opened.map_or(Some(elapsed), |opened| opened.plain(elapsed)),
            ..report(&self.args, &snapshot, watch)?
        })
    }
}

/// What is seen while the cell runs.
pub(super) struct LoadsWatch {
    running: Option<RunningLinkerEvents>,
    opens: Option<Seeing>,
    recording: LinkerEventsRecording,
    refused: Option<LinkerEventsRefused>,
    requests: Vec<Arc<import_audit::Load>>,
    opened: Option<SeenEvents>,
}

impl LoadsWatch {
    fn begin(before: &[Library]) -> Result<Self, Error> {
        let running = match recorder::begin(before) {
            Err(LinkerEventsRefused::Busy) => {
                return Err(Error::Usage(
                    "%%trace_loads: the loads of other code are being traced; wait until that ends"
                        .into(),
                ));
            }
            other => other,
        };
        let refused = running.as_ref().err().copied();
        import_audit::follow();
        Ok(Self {
            running: running.ok(),
            recording: LinkerEventsRecording::default(),
            refused,
            requests: Vec::new(),
            opened: None,
            opens: Seeing::begin(),
        })
    }

    fn end(&mut self) {
        self.opened = self.opens.take().map(Seeing::end);
        self.requests = import_audit::followed_since();
        if let Some(running) = self.running.take() {
            self.recording = running.end();
        }
    }
}

impl Drop for LoadsWatch {
    fn drop(&mut self) {
        self.end();
    }
}

fn report(
    args: &TraceLoadsArgs,
    snapshot: &LoadsSnapshot,
    watch: &LoadsWatch,
) -> Result<Report, Error> {
    let opens = snapshot.opens();
    let counts = Counts::of(snapshot, &opens);
    let listed = match args {
        TraceLoadsArgs { strace: true, .. } => Vec::new(),
        TraceLoadsArgs { files: true, .. } => rows(row::files(snapshot, &opens, args.fail))?,
        TraceLoadsArgs { tree: true, .. } => rows(tree::tree(snapshot))?,
        _ => rows(row::libraries(snapshot, &opens, args.fail, args.time))?,
    };
    let columns = match args {
        TraceLoadsArgs { files: true, .. } => columns::FILES,
        TraceLoadsArgs { tree: true, .. } => columns::TREE,
        _ => columns::COLUMNS,
    };
    let listing = args.strace.then(|| opens::strace(&opens, args.fail));
    Ok(Report {
        name: TraceLoads::NAME,
        columns,
        tree: args.tree && !args.files && !args.strace,
        rows: listed,
        facts: fields(json!({
            "counts": counts,
            "elapsed_ns": watch.recording.lasted,
            "source": if watch.refused.is_some() { "list" } else { "hook" },
            "opens_source": if watch.opened.is_some() { "syscall" } else { "inferred" },
        }))?,
        answer: linker_time(snapshot),
        summary: vec![counts.sentence(watch)],
        listing: listing.unwrap_or_default(),
        diagnoses: diagnoses::all(snapshot, &opens),
        limits: limits(snapshot, watch),
        ..Report::default()
    })
}

/// Whether it was the linker at all that took the time.
fn linker_time(snapshot: &LoadsSnapshot) -> Option<Answer> {
    /// In less nothing is worth looking for.
    const LEAST: u64 = 10_000_000;
    let linker = snapshot.timeline.linker_ns()?;
    let all = snapshot.elapsed_ns.max(linker);
    if all < LEAST {
        return None;
    }
    let told = |nanoseconds: u64| time(nanoseconds as f64);
    let mut sentence = format!(
        "The dynamic linker took {} of {}, with the initialisers of the libraries",
        told(linker),
        told(all)
    );
    sentence += match linker * 2 < all {
        true => "; the rest is code that ran: %%native_prof tells which.",
        false => ".",
    };
    Some(Answer {
        sentences: vec![sentence],
        table: None,
    })
}

/// What the summary counts.
#[derive(Debug, serde::Serialize)]
struct Counts {
    libraries: usize,
    unloaded: usize,
    bytes: usize,
    calls: usize,
    calls_failed: usize,
    opens: usize,
    opens_failed: usize,
    linker_opens: usize,
    linker_opens_failed: usize,
    processes: Option<usize>,
    threads: Option<usize>,
}

impl Counts {
    fn of(snapshot: &LoadsSnapshot, opens: &[opens::OpenAttempt]) -> Self {
        let by_linker = opens.iter().filter(|open| open.by_linker);
        Self {
            libraries: snapshot.timeline.loaded.len(),
            unloaded: snapshot
                .timeline
                .loaded
                .iter()
                .filter(|one| one.gone_at.is_some())
                .count(),
            bytes: snapshot
                .timeline
                .loaded
                .iter()
                .filter_map(|one| snapshot.bytes(one))
                .sum(),
            calls: snapshot.timeline.calls.len(),
            calls_failed: snapshot.failed_calls().count(),
            opens: opens.len(),
            opens_failed: opens.iter().filter(|open| open.failed).count(),
            linker_opens: by_linker.clone().count(),
            linker_opens_failed: by_linker.filter(|open| open.failed).count(),
            processes: snapshot.created.map(|created| created.processes),
            threads: snapshot.created.map(|created| created.threads),
        }
    }

    fn sentence(&self, watch: &LoadsWatch) -> String {
        let many = |count: usize, one: &str, more: &str| match count {
            1 => format!("1 {one}"),
            _ => format!("{count} {more}"),
        };
        let mut parts = vec![match self.libraries {
            0 => "no library was loaded (what is there already is not loaded again)".to_owned(),
            count => format!(
                "{}, {} mapped",
                many(count, "library", "libraries"),
                bytes(self.bytes as f64)
            ),
        }];
        let about = if watch.opened.is_some() {
            ""
        } else {
            " by the linker's rules"
        };
        parts.push(format!(
            "{}{about}, {} of them failed",
            many(self.opens, "open", "opens"),
            self.opens_failed
        ));
        if self.calls_failed > 0 {
            parts.push(format!(
                "{} loaded nothing",
                many(self.calls_failed, "call", "calls")
            ));
        }
        let first = parts.join(", ");
        std::iter::once(first)
            .chain(self.started())
            .collect::<Vec<_>>()
            .join("; ")
    }

    /// What was started, where it could be seen.
    fn started(&self) -> Option<String> {
        let threads = match self.threads? {
            0 => String::new(),
            1 => ", and 1 thread".to_owned(),
            many => format!(", and {many} threads"),
        };
        Some(match self.processes? {
            0 if threads.is_empty() => "no process was started".to_owned(),
            0 => format!("no process was started{}", threads.replace("and", "but")),
            1 => format!("1 process was started{threads}"),
            many => format!("{many} processes were started{threads}"),
        })
    }
}

/// What was not seen, in words.
fn limits(snapshot: &LoadsSnapshot, watch: &LoadsWatch) -> Vec<String> {
    let mut limits = Vec::new();
    if let Some(refused) = watch.refused {
        limits.push(format!(
            "{refused}: libraries are those that are there afterwards, without times, and without those that were \
             unloaded"
        ));
    } else if watch.recording.callers.is_none() {
        limits.push(
            "calls of dlopen could not be hooked: which native code asked is not known".into(),
        );
    }
    if watch.recording.lost > 0 {
        limits.push(format!(
            "{} events found no room and are missing",
            watch.recording.lost
        ));
    }
    let unheard = import_audit::why_not();
    limits.extend(
        unheard.map(|why| format!("{why}: imports cannot be distinguished from other calls")),
    );
    match &watch.opened {
        None => limits.push(
            "opens are computed again by the rules of ld.so(8), and only those of libraries: real ones are seen where \
             the kernel dispatches system calls to the program"
                .into(),
        ),
        Some(opened) => limits.extend(opened.limits()),
    }
    let untimed = snapshot
        .timeline
        .loaded
        .iter()
        .filter(|one| one.init_ns.is_none() && one.gone_at.is_none());
    let untimed = untimed.count();
    if untimed > 0 && watch.refused.is_none() {
        limits.push(format!(
            "the initialisers of {untimed} libraries could not be timed"
        ));
    }
    limits
}

/// The timeline where the linker could not be hooked: what is new in its list.
fn timeline_without_hook(before: &[Library], after: &[&Library]) -> Timeline {
    let is_new = |library: &&&Library| {
        let same = |old: &Library| {
            old.image.bias() == library.image.bias() && old.linker_name == library.linker_name
        };
        !before.iter().any(same)
    };
    Timeline::from_list(
        after
            .iter()
            .filter(is_new)
            .map(|library| (library.image.bias(), library.linker_name.clone())),
    )
}
