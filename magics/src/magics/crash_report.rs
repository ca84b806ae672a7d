//! `%crash_report`: why a kernel died, as it was written down while it did.

mod address;
mod arrays;
mod before;
mod columns;
mod crashed;
mod files;
mod memory;
mod rows;
mod signal;
mod stack;
mod tell;

use clap::ValueEnum;

use crate::error::Error;
use crate::magic::{Context, Magic};
use diaphane_report::{Report, Schema};

pub use before::death_before;
pub use crashed::crash_in_short;
pub use memory::{look_at_memory, warn_of_memory};
pub use tell::{CrashedProcess, tell_of_crash};

/// The name of the magic, which is that of its reports.
const REPORT: &str = "crash_report";

/// Show why the kernel before this one died: signal, address, instruction, and the stacks of all threads.
///
/// The reports are in Jupyter's runtime folder, beside the connection file, and leave the machine only if you send them.
/// Two of them are compared by `a.diff(b)`.
#[derive(Debug, clap::Args)]
pub(crate) struct CrashReportArgs {
    /// Show the N-th last one; 1 is the last
    #[arg(long, value_name = "N", default_value_t = 1)]
    last: usize,
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
    const SCHEMA: &'static Schema = &columns::SCHEMA;
    type Args = CrashReportArgs;

    fn only_looks(args: &CrashReportArgs) -> bool {
        args.warn.is_none()
    }

    fn run(args: &CrashReportArgs, _context: &Context<'_, '_>) -> Result<Report, Error> {
        if let Some(switch) = args.warn {
            memory::warn_of_memory(switch == Switch::On);
            return Ok(none(match switch {
                Switch::On => "A line warns when memory comes near its limit while a cell runs.",
                Switch::Off => "No line warns when memory comes near its limit.",
            }));
        }
        let Some(black_box) = files::own_black_box() else {
            return Ok(none(
                "No crash is known: only the kernel keeps reports of its crashes.",
            ));
        };
        let kept = files::all(black_box, args.all);
        match args.last.checked_sub(1) {
            None => Err(Error::Usage(
                "--last counts from 1, which is the last crash".into(),
            )),
            Some(_) if kept.is_empty() => Ok(none(
                "No crash is known of the kernels of this connection file.",
            )),
            Some(index) => match kept.get(index) {
                Some(path) => {
                    let mut report = files::read(path)?;
                    report.summary.push(format!(
                        "From {}; {} kept in all.",
                        path.display(),
                        kept.len()
                    ));
                    Ok(report)
                }
                None => Err(Error::Usage(format!(
                    "only {} crashes are kept",
                    kept.len()
                ))),
            },
        }
    }
}

fn none(sentence: &str) -> Report {
    Report {
        name: REPORT,
        facts: tell::no_facts(),
        summary: vec![sentence.to_owned()],
        ..Report::default()
    }
}
