//! `%stack`: what the process runs at this moment, Python and native functions in one; also while a cell hangs.

mod columns;
mod other_process;
mod process_monitor;

use std::collections::HashMap;

use nix::unistd::{getpid, gettid};
use serde_json::json;

use crate::error::Error;
use crate::magic::{Context, Magic, Questions};
use crate::python::threads::thread_names;
use crate::session::door;
use crate::stacks::cell_source::line_text;
use crate::stacks::merged::StackFrame;
use crate::stacks::now::{ThreadNow, threads_now};
use crate::stacks::snapshot::Gil;
use crate::stacks::told;
use diaphane_cpython::{check, support};
use diaphane_report::view::text::shorten;
use diaphane_report::{Answer, Report, Schema, Show, fields, rows};

/// Show what the main thread runs at this moment: its Python and native functions, the innermost first.
///
/// In a cell this is the line itself. In a terminal, `diaphane ask stack` answers while a cell runs or hangs, and
/// `diaphane stack PID` also where the kernel answers nothing any more.
#[derive(Debug, clap::Args)]
pub(crate) struct StackMagicArgs {
    /// Show the interpreter's and the C library's own functions too
    #[arg(long)]
    native: bool,
    /// Show all threads
    #[arg(long)]
    all: bool,
}

pub use other_process::{StackArgs, stack_of_process};
pub use process_monitor::{OtherLibrary, ProcessMoment, ProcessMonitor};

/// No line is wider; the rows have the whole names.
const WIDEST: usize = 100;

/// The magic.
pub(crate) struct Stack;

impl Magic for Stack {
    const NAME: &'static str = "stack";
    const QUESTIONS: Questions = &[("What runs at this moment, in Python and below?", "")];
    const SCHEMA: &'static Schema = &columns::SCHEMA;
    type Args = StackMagicArgs;

    /// Threads may get a signal.
    fn only_looks(_args: &StackMagicArgs) -> bool {
        false
    }

    fn run(args: &StackMagicArgs, context: &Context<'_, '_>) -> Result<Report, Error> {
        let names = match context.user {
            Some(user) => {
                check(user.py);
                thread_names(user.py)?
            }
            None => HashMap::new(),
        };
        // The GIL is kept, so that no Python function returns meanwhile.
        let asks_python = context.user.is_some();
        let threads = threads_now(&names, asks_python, args.all)?;
        let asked_by_main = gettid() == getpid();
        let is_stuck = threads.iter().any(|one| one.is_main && one.is_stuck) && !asked_by_main;
        let text =
            |call: &StackFrame| line_text(context.user?.py, call.file.as_deref()?, call.line?);
        let mut report = report(threads, args, !asks_python, &text)?;
        // Who waits for whom is known there.
        if is_stuck {
            let others = (context.ask)("threads", "", context)?.diagnoses.into_iter();
            let deadlocks = others.filter(|one| one.code == "T007");
            report.diagnoses.extend(deadlocks);
        }
        report.limits.extend(support());
        report.limits.extend(door::why_not_asked());
        Ok(report)
    }
}

/// The report of the main thread, or of all; where Python is not asked, also of who has the GIL.
fn report(
    mut threads: Vec<ThreadNow>,
    args: &StackMagicArgs,
    holder: bool,
    text: &dyn Fn(&StackFrame) -> Option<String>,
) -> Result<Report, Error> {
    let has_gil = |thread: &ThreadNow| holder && thread.gil == Some(Gil::Holder);
    let holding = threads
        .iter()
        .find(|thread| thread.gil == Some(Gil::Holder));
    let holding = holding.map(ThreadNow::title);
    threads.retain(|thread| args.all || thread.is_main || has_gil(thread));
    threads.sort_by_key(|thread| !thread.is_main);
    let main = threads.iter().find(|thread| thread.is_main);
    let sentence = main.and_then(|main| told::sentence(main, holding.as_deref()));
    Ok(Report {
        name: Stack::NAME,
        answer: sentence.map(|sentence| Answer {
            sentences: vec![sentence],
            table: None,
        }),
        rows: rows(threads.iter().flat_map(ThreadNow::rows))?,
        listing: threads
            .iter()
            .flat_map(|thread| told::lines(thread, args.native, text))
            .map(|line| shorten(&line, WIDEST, Show::Text))
            .collect(),
        facts: fields(json!({"threads": threads.len()}))?,
        ..Report::default()
    })
}
