//! `%crash_report`: why a kernel died, as it was written down while it did.

mod address;
mod arrays;
mod before;
mod columns;
mod crashed;
mod error_under_cell;
mod files;
mod memory;
mod rows;
mod signal;
mod stack;

use std::path::PathBuf;

use clap::ValueEnum;
use diaphane_sight::crash::handler::guest;
use diaphane_sight::proc::maps::{Maps, Region};
use serde_json::Value;

use crate::error::Error;
use crate::libraries::names::{file_name, short};
use crate::magic::{Context, Magic, Questions};
use crate::session::door;
use diaphane_report::{Report, Schema};

pub use before::death_before;
pub use crashed::crash_in_short;
pub use error_under_cell::{CrashedProcess, tell_of_crash};
pub use memory::{look_at_memory, warn_of_memory};

/// The name of the magic, which is that of its reports.
const REPORT: &str = "crash_report";

/// Show why the kernel before this one died: signal, address, instruction, and the stacks of all threads.
///
/// The reports are in Jupyter's runtime folder, beside the connection file, and leave the machine only if you send them.
#[derive(Debug, clap::Args)]
pub(crate) struct CrashReportArgs {
    /// Show the N-th last one; 1 is the last
    #[arg(long, value_name = "N", default_value_t = 1)]
    last: usize,
    /// Compare with the N-th last one: which functions are in one of the two stacks only
    #[arg(long, value_name = "N")]
    against: Option<usize>,
    /// Count those of all kernels whose connection files are in the same folder
    #[arg(long)]
    all: bool,
    /// on or off: whether a line warns when memory comes near its limit while a cell runs
    #[arg(long, value_name = "on|off", hide_possible_values = true)]
    warn: Option<Switch>,
}

/// Whether something is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

/// The magic.
pub(crate) struct CrashReport;

impl Magic for CrashReport {
    const NAME: &'static str = REPORT;
    const QUESTIONS: Questions = &[("Why did the kernel die?", "")];
    const SCHEMA: &'static Schema = &columns::SCHEMA;
    type Args = CrashReportArgs;

    fn only_looks(args: &CrashReportArgs) -> bool {
        args.warn.is_none()
    }

    fn run(args: &CrashReportArgs, _context: &Context<'_, '_>) -> Result<Report, Error> {
        let mut report = answer(args)?;
        report.limits.extend(of_guest());
        Ok(report)
    }
}

/// The report that is asked for, or why there is none.
fn answer(args: &CrashReportArgs) -> Result<Report, Error> {
    if let Some(switch) = args.warn {
        memory::warn_of_memory(switch == Switch::On);
        return Ok(none(match switch {
            Switch::On => "A line warns when memory comes near its limit while a cell runs.",
            Switch::Off => "No line warns when memory comes near its limit.",
        }));
    }
    let Some(black_box) = files::own_black_box() else {
        return Ok(none(
            "No crash is known: only a kernel, or a guest in one, keeps reports of crashes.",
        ));
    };
    let kept = files::all(black_box, args.all);
    if kept.is_empty() {
        return Ok(none(
            "No crash is known of this kernel, nor of those that it was restarted after.",
        ));
    }
    let mut report = nth(&kept, args.last)?;
    if let Some(other) = args.against {
        return compared(report, nth(&kept, other)?);
    }
    let path = kept[args.last - 1].display();
    report
        .summary
        .push(format!("From {path}; {} kept in all.", kept.len()));
    Ok(report)
}

/// What a guest cannot tell of.
fn of_guest() -> Vec<String> {
    if !door::is_guest() {
        return Vec::new();
    }
    let mut limits = vec![
        "a kernel that is killed leaves no word: only diaphane's own writes down what it does"
            .to_owned(),
    ];
    match guest::left_to_others() {
        None => {
            limits.push("the signals of faults could not be had, so no fault is told".to_owned())
        }
        Some(others) => limits.extend(others.into_iter().map(|(signal, handler)| {
            let maps = Maps::at(handler).unwrap_or_default();
            let path = maps
                .find(handler)
                .and_then(Region::path)
                .unwrap_or("code of no file");
            format!(
                "{} is handled by {}, so such a fault is told by that alone",
                signal::name(signal),
                short(file_name(path))
            )
        })),
    }
    limits
}

/// The N-th last report.
fn nth(kept: &[PathBuf], number: usize) -> Result<Report, Error> {
    let index = number.checked_sub(1).ok_or_else(|| {
        Error::Usage("crashes are counted from 1, which is the last one".to_owned())
    })?;
    let only = || Error::Usage(format!("no more crashes than {} are kept", kept.len()));
    files::read(kept.get(index).ok_or_else(only)?)
}

/// What differs between the stacks of two threads that crashed.
fn compared(mut one: Report, mut other: Report) -> Result<Report, Error> {
    for report in [&mut one, &mut other] {
        report.columns = columns::COLUMNS;
        report
            .rows
            .retain(|row| row.get("crashed") == Some(&Value::Bool(true)));
    }
    let headline = |report: &Report| {
        let headline = report.facts.get("headline").and_then(Value::as_str);
        headline.unwrap_or("a death without a word").to_owned()
    };
    let mut diff = one.diff(&other)?;
    let headlines = [
        format!("This: {}.", headline(&one)),
        format!("Other: {}.", headline(&other)),
    ];
    diff.summary.splice(0..0, headlines);
    Ok(diff)
}

fn none(sentence: &str) -> Report {
    Report {
        name: REPORT,
        facts: error_under_cell::no_facts(),
        summary: vec![sentence.to_owned()],
        ..Report::default()
    }
}
