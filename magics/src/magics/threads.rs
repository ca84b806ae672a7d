//! `%threads`: every thread of this process, native ones too, with its owner, its stack, and the pools beside the CPUs they
//! share.
//!
//! `%%threads` says the same of a cell while it runs (`cell`). Python names its own threads; the kernel, the records of
//! their creation and their stacks tell about the others.

mod cell;
mod chart;
mod children;
mod columns;
mod deadlock;
mod diagnoses;
mod row;
mod sample;
mod watch;

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::HashMap;
use std::time::Duration;

use diaphane_sight::threads::{Thread, is_own_thread};
use serde_json::json;

use crate::error::Error;
use crate::magic::{Context, Form, Magic, Questions, RecordedCode, Recording};
use crate::python::threads::thread_names;
use crate::session::door;
use diaphane_report::{Report, Schema, fields, rows};

use crate::stacks::live_pools::summary;
use crate::stacks::merged::{MergedStack, StackOptions, stacks};
use crate::stacks::snapshot::{ProcessSnapshot, ThreadKind, ThreadNames};
use deadlock::Suspects;
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
/// Above a cell, %%threads runs it and tells how many threads it had, how many CPUs they used over time, and of which pools.
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
    /// Show those of the processes that this one has started, read from outside
    #[arg(long, conflicts_with_all = ["python", "stack", "native_all", "locals", "sample"])]
    children: bool,
}

/// The magic.
pub(crate) struct Threads;

impl ThreadsArgs {
    /// Above a cell the options have no meaning.
    fn alone(&self) -> Result<(), Error> {
        let is_given =
            self.python || self.children || self.depth().is_some() || self.sample.is_some();
        match is_given {
            true => Err(Error::Usage(
                "%%threads: --python, --stack, --native-all, --locals, --sample and --children are for %threads on one line".into(),
            )),
            false => Ok(()),
        }
    }

    /// How many functions of each stack to show, if any.
    fn depth(&self) -> Option<usize> {
        let implied = self.locals || self.native_all;
        self.stack.or(implied.then_some(DEPTH))
    }
}

impl Magic for Threads {
    const NAME: &'static str = "threads";
    const FORM: Form = Form::LineOrCell;
    const QUESTIONS: Questions = &[
        ("Whose threads run, and are they more than the CPUs?", ""),
        ("Where does each thread stand now?", "--stack"),
        ("Which threads compute while I watch?", "--sample 500"),
        ("How many threads does a cell use, and how many CPUs?", "%%"),
    ];
    const RECORDS: bool = true;
    const SCHEMA: &'static Schema = &columns::SCHEMA;
    type Args = ThreadsArgs;

    /// Stacks are asked for by signals, and a sample takes as long as the user said.
    fn only_looks(args: &ThreadsArgs) -> bool {
        args.stack.is_none() && args.sample.is_none()
    }

    fn begin(
        args: &ThreadsArgs,
        _code: &RecordedCode,
        context: &Context<'_, '_>,
    ) -> Result<Box<dyn Recording>, Error> {
        args.alone()?;
        cell::begin(context)
    }

    fn run(args: &ThreadsArgs, context: &Context<'_, '_>) -> Result<Report, Error> {
        if args.children {
            return context.without_gil(children::report);
        }
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
            summary: std::iter::once(summary(
                snapshot.threads.len(),
                &snapshot.pools,
                &snapshot.cpus,
            ))
            .chain(self.own_use())
            .collect(),
            diagnoses: diagnoses::findings(
                self.sample.as_ref(),
                &Suspects {
                    snapshot,
                    names: &self.names,
                    stack_of: &stack_of,
                    kind_of: &kind_of,
                    with_python,
                },
            ),
            facts: fields(json!({
                "pools": snapshot.pools, "cpus": snapshot.cpus, "tasks": snapshot.tasks, "vanished": snapshot.vanished,
            }))?,
            limits: self.limits(with_python),
            ..Report::default()
        })
    }

    /// What of the sample is the watching itself.
    fn own_use(&self) -> Option<String> {
        let sample = self.sample.as_ref()?;
        let thread = self
            .snapshot
            .threads
            .iter()
            .find(|thread| thread.tid == sample.watcher)?;
        let percent = sample.cpu_percent(sample.watcher)?;
        Some(format!(
            "{} did the watching: its {percent} % of a CPU are this magic's own",
            self.name(thread)
        ))
    }

    fn kind(&self, thread: &Thread) -> ThreadKind {
        self.snapshot
            .kind(thread, self.names.contains_key(&thread.tid))
    }

    fn runs_python(&self, thread: &Thread) -> bool {
        matches!(self.kind(thread), ThreadKind::Main | ThreadKind::Python)
    }

    fn name<'a>(&'a self, thread: &'a Thread) -> Cow<'a, str> {
        self.snapshot.name(thread, &self.names)
    }

    /// The stack of a thread, under its name.
    fn listing(
        &self,
        thread: &Thread,
        stacks: &HashMap<i32, MergedStack>,
        most: usize,
        everything: bool,
    ) -> Vec<String> {
        let mut lines = vec![format!("thread {} {}", thread.tid, self.name(thread))];
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
            .chain(self.of_unknown_creators())
            .chain(support())
            .collect()
    }

    /// In a process of somebody else's, threads may be older than we are.
    fn of_unknown_creators(&self) -> Option<String> {
        let is_unknown = |thread: &&Thread| {
            let is_own = is_own_thread(thread.tid) || self.kind(thread) == ThreadKind::Main;
            thread.creation.is_none() && !is_own
        };
        let unknown = self.snapshot.threads.iter().filter(is_unknown).count();
        (door::is_guest() && unknown > 0).then(|| {
            let threads = match unknown {
                1 => "1 thread is".to_owned(),
                several => format!("{several} threads are"),
            };
            format!("{threads} older than %load_ext diaphane: nobody noted who started them")
        })
    }
}
