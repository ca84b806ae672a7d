//! `%threads`: every thread of this process, native ones too, with its owner, its stack, and the pools beside the CPUs they
//! share.
//!
//! Python names its own threads; the kernel, the records of their creation and their stacks tell about the others.

mod chart;
mod columns;
mod findings;
mod sample;

use std::cell::OnceCell;
use std::collections::HashMap;
use std::time::Duration;

use diaphane_sight::threads::running_cells::CellId;
use diaphane_sight::threads::{Confidence, Thread};
use serde::Serialize;
use serde_json::json;

use crate::error::Error;
use crate::magic::{Context, Magic};
use crate::python::threads::thread_names;
use crate::session::journal;
use diaphane_report::{Report, Schema, fields, rows};

use crate::stacks::live_pools::summary;
use crate::stacks::merged::{MergedStack, StackFrame, StackOptions, stacks};
use crate::stacks::snapshot::Gil;
use crate::stacks::snapshot::{ProcessSnapshot, ThreadKind, ThreadNames};
use diaphane_cpython::{check, support};
use sample::Sample;

/// The longest time to watch, in milliseconds.
const LONGEST: u64 = 60_000;
/// How many functions of a stack are shown.
const DEPTH: usize = 16;
const DEPTH_TEXT: &str = "16";

/// List the threads of this process, with the library each one belongs to.
///
/// Native pools usually keep the process's name for their threads; their owner is the library that started them. With
/// --stack, sleeping threads are read from outside, and others get a signal, in whose handler they copy their stack.
#[derive(Debug, clap::Args)]
pub(crate) struct ThreadsArgs {
    /// Only the threads that run Python
    #[arg(long)]
    python: bool,
    /// Show what each thread runs, Python and native functions in one: the N innermost
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = DEPTH_TEXT)]
    stack: Option<usize>,
    /// Show the interpreter's and the C library's own functions in the stacks too
    #[arg(long)]
    native_all: bool,
    /// Show names, types and lengths of the local variables of Python functions in the stacks too
    #[arg(long)]
    locals: bool,
    /// Watch for so many milliseconds, to see the use of CPUs and waits for the GIL
    #[arg(long, value_name = "MS")]
    sample: Option<u64>,
}

#[derive(Serialize)]
struct ThreadRow<'a> {
    tid: i32,
    name: &'a str,
    comm: &'a str,
    kind: ThreadKind,
    owner: Option<&'a str>,
    start_function: Option<&'a str>,
    owner_path: Option<&'a str>,
    owner_package: Option<&'a str>,
    owner_package_version: Option<&'a str>,
    owner_confidence: Option<Confidence>,
    created_in: Option<u32>,
    created_by: Option<i32>,
    state: char,
    wait: Option<String>,
    wait_channel: Option<&'a str>,
    cpu_ns: Option<u64>,
    cpu_pct: Option<f64>,
    last_cpu: Option<u32>,
    affinity: Option<&'a str>,
    gil: Option<Gil>,
    gil_wait_pct: Option<f64>,
    ctx_switches: Switches,
    sigblk: Option<String>,
    top_frame: Option<String>,
    stack: Option<Vec<StackFrame>>,
}

#[derive(Serialize)]
struct Switches {
    vol: Option<u64>,
    invol: Option<u64>,
}

/// The magic.
pub(crate) struct Threads;

impl ThreadsArgs {
    /// How many functions of each stack to show, if any.
    fn depth(&self) -> Option<usize> {
        let implied = self.locals || self.native_all;
        self.stack.or(implied.then_some(DEPTH))
    }
}

impl Magic for Threads {
    const NAME: &'static str = "threads";
    const SCHEMA: &'static Schema = &columns::SCHEMA;
    type Args = ThreadsArgs;

    /// Stacks are asked for by signals, and a sample takes as long as the user said.
    fn only_looks(args: &ThreadsArgs) -> bool {
        args.stack.is_none() && args.sample.is_none()
    }

    fn run(args: &ThreadsArgs, context: &Context<'_, '_>) -> Result<Report, Error> {
        let sample = args.sample.map(|time| sampled(time, context)).transpose()?;
        let names = match context.user {
            Some(user) => {
                check(user.py);
                thread_names(user.py)?
            }
            None => ThreadNames::new(),
        };
        let with_python = context.user.is_some();
        let answer = || Answer::look(args, names, sample, with_python)?.report(args, with_python);
        // Stacks are taken with the GIL held, where it is, so that no Python function returns meanwhile.
        match args.depth() {
            Some(_) => answer(),
            None => context.without_gil(answer),
        }
    }
}

fn sampled(time: u64, context: &Context<'_, '_>) -> Result<Sample, Error> {
    if time == 0 || time > LONGEST {
        return Err(Error::Usage(format!(
            "%threads: --sample takes 1 to {LONGEST} milliseconds, not {time}"
        )));
    }
    if let Some(user) = context.user {
        check(user.py);
    }
    let snapshot = context.without_gil(ProcessSnapshot::look)?;
    Sample::watch(context, &snapshot, Duration::from_millis(time))
}

/// Everything that the report is made of.
struct Answer {
    snapshot: ProcessSnapshot,
    names: ThreadNames,
    sample: Option<Sample>,
    stacks: OnceCell<HashMap<i32, MergedStack>>,
}

impl Answer {
    fn look(
        args: &ThreadsArgs,
        names: ThreadNames,
        sample: Option<Sample>,
        with_python: bool,
    ) -> Result<Self, Error> {
        let answer = Self {
            snapshot: ProcessSnapshot::look()?,
            names,
            sample,
            stacks: OnceCell::new(),
        };
        if args.depth().is_some() {
            let wanted = StackOptions {
                locals: args.locals,
                gil: with_python,
            };
            answer
                .stacks
                .get_or_init(|| stacks(&answer.snapshot, wanted));
        }
        Ok(answer)
    }

    fn report(&self, args: &ThreadsArgs, with_python: bool) -> Result<Report, Error> {
        let snapshot = &self.snapshot;
        // A finding may need stacks that nobody asked to see.
        let stack_of = |tid| {
            let stacks = self
                .stacks
                .get_or_init(|| stacks(snapshot, StackOptions::default()));
            stacks.get(&tid).cloned()
        };
        let shown = self.stacks.get();
        let listed: Vec<&Thread> = snapshot
            .threads
            .iter()
            .filter(|thread| !args.python || self.runs_python(thread))
            .collect();
        let row_listings = args.depth().zip(shown).map(|(most, stacks)| {
            let lines = |thread: &&Thread| {
                let lines = self.listing(thread, stacks, most, args.native_all);
                (thread.tid.to_string(), lines)
            };
            ("tid", listed.iter().map(lines).collect())
        });
        let kind_of = |thread: &Thread| self.kind(thread);
        let chart = self
            .sample
            .as_ref()
            .map(|sample| chart::bars(snapshot, &listed, &self.names, sample));
        let all = listed.into_iter().map(|thread| self.row(thread, shown));
        Ok(Report {
            name: Threads::NAME,
            columns: columns::COLUMNS,
            rows: rows(all)?,
            row_listings,
            chart,
            summary: vec![summary(
                snapshot.threads.len(),
                &snapshot.pools,
                &snapshot.cpus,
            )],
            diagnoses: findings::findings(snapshot, self.sample.as_ref(), &stack_of, &kind_of),
            facts: fields(json!({
                "pools": snapshot.pools, "cpus": snapshot.cpus, "tasks": snapshot.tasks, "vanished": snapshot.vanished,
            }))?,
            limits: self.limits(with_python),
            ..Report::default()
        })
    }

    fn kind(&self, thread: &Thread) -> ThreadKind {
        self.snapshot
            .kind(thread, self.names.contains_key(&thread.tid))
    }

    fn runs_python(&self, thread: &Thread) -> bool {
        matches!(self.kind(thread), ThreadKind::Main | ThreadKind::Python)
    }

    fn row<'a>(
        &'a self,
        thread: &'a Thread,
        stacks: Option<&'a HashMap<i32, MergedStack>>,
    ) -> ThreadRow<'a> {
        let snapshot = &self.snapshot;
        let owner = thread.owner.as_ref();
        let library = snapshot.owner(thread);
        let package = owner.and_then(|owner| snapshot.package_of(owner.library));
        let python = self.names.get(&thread.tid);
        let sample = self.sample.as_ref();
        let stack = stacks.and_then(|stacks| stacks.get(&thread.tid));
        let runs_python = snapshot.interpreter.states.contains_key(&thread.tid);
        ThreadRow {
            tid: thread.tid,
            name: python.unwrap_or(&thread.comm),
            comm: &thread.comm,
            kind: self.kind(thread),
            owner: library.map(|library| library.name.as_str()),
            start_function: owner.and_then(|owner| owner.symbol.as_deref()),
            owner_path: library.and_then(|library| library.path.as_deref()),
            owner_package: package.map(|package| package.name.as_str()),
            owner_package_version: package.map(|package| package.version.as_str()),
            owner_confidence: owner.map(|owner| owner.confidence),
            created_in: match &thread.creation {
                Some(birth) => birth.cell,
                None => journal::cell_of_thread(thread.tid),
            }
            .and_then(CellId::number),
            created_by: thread.creation.map(|record| record.creator),
            state: thread.state,
            wait: thread.call.as_ref().map(|call| match call.name {
                _ if snapshot.waits_for_the_gil(call) => "GIL".to_owned(),
                Some(name) => name.to_owned(),
                None => format!("syscall {}", call.number),
            }),
            wait_channel: thread.wait_channel.as_deref(),
            cpu_ns: thread.cpu_ns,
            cpu_pct: sample.and_then(|sample| sample.cpu_percent(thread.tid)),
            last_cpu: thread.last_cpu,
            affinity: thread.affinity.as_deref(),
            gil: snapshot.gil(thread),
            gil_wait_pct: sample
                .filter(|_| runs_python)
                .map(|sample| (sample.gil_wait(thread.tid) * 1000.0).round() / 10.0),
            ctx_switches: Switches {
                vol: thread.voluntary_switches,
                invol: thread.involuntary_switches,
            },
            sigblk: thread.blocked_signals.map(|mask| format!("{mask:#018x}")),
            top_frame: stack.and_then(MergedStack::top),
            stack: stack
                .filter(|stack| stack.native || !stack.calls.is_empty())
                .map(|stack| stack.calls.clone()),
        }
    }

    /// The stack of a thread, under its name.
    fn listing(
        &self,
        thread: &Thread,
        stacks: &HashMap<i32, MergedStack>,
        most: usize,
        everything: bool,
    ) -> Vec<String> {
        let name = self.names.get(&thread.tid).unwrap_or(&thread.comm);
        let mut lines = vec![format!("thread {} {name}", thread.tid)];
        let stack = stacks.get(&thread.tid);
        lines.extend(
            stack
                .into_iter()
                .flat_map(|stack| stack.listing(most, everything)),
        );
        lines
    }

    /// What could not be asked.
    fn limits(&self, with_python: bool) -> Vec<String> {
        let threads = &self.snapshot.threads;
        let mut asleep = threads
            .iter()
            .filter(|thread| thread.state == 'S')
            .peekable();
        // Without these files of the kernel, owners and waits are unknown.
        let silent = asleep.peek().is_some() && asleep.all(|thread| thread.call.is_none());
        let limits = [
            (
                silent,
                "Linux does not show the system calls of threads here, so waits are unknown",
            ),
            (
                !with_python,
                "Python runs something else at the moment, so its names of threads are not known",
            ),
        ];
        let said = limits.into_iter().filter(|(holds, _)| *holds);
        said.map(|(_, limit)| limit.to_owned())
            .chain(support())
            .collect()
    }
}
