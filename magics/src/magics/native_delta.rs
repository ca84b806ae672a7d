//! `%native_delta`: what a cell changed under the surface: libraries, threads, memory, buffers, CPU time, page faults.
//!
//! Every cell is measured, since that takes some ten microseconds; only `on` shows the line.

mod columns;

use clap::ValueEnum;
use diaphane_forks::{ProcessLock, ProcessLockGuard};
use serde_json::{Map, Value};

use crate::error::Error;
use crate::magic::{Context, Magic, Questions};
use crate::session::deltas::Delta;
use crate::session::lane;
use diaphane_report::{Report, Schema, rows, view};
use diaphane_sight::threads::running_cells;
use diaphane_sight::threads::running_cells::CellId;

/// Show what each cell changed under the surface.
///
/// `on` writes a line under every cell from the next one on, `off` ends that, and `last` reports on the cell before
/// this one, whether a line was written or not. Every cell is measured, also those that only asked something: `--cell 3`
/// reports on an earlier one.
#[derive(Debug, clap::Args)]
pub(crate) struct NativeDeltaArgs {
    /// on, off or last
    #[arg(
        value_name = "on|off|last",
        default_value = "last",
        hide_possible_values = true
    )]
    what: DeltaMode,
    /// Report on the cell of this number, one of the last 500
    #[arg(long, value_name = "N", conflicts_with = "what")]
    cell: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DeltaMode {
    On,
    Off,
    Last,
}

/// What was asked for.
#[derive(Debug, Clone, Copy)]
struct Wish {
    on: bool,
    /// The cell that switched it on, which has no line of its own.
    by: Option<CellId>,
}

static WISH: ProcessLock<Wish> = ProcessLock::new(|| Wish {
    on: false,
    by: None,
});

/// The magic.
pub(crate) struct NativeDelta;

impl Magic for NativeDelta {
    const NAME: &'static str = "native_delta";
    const QUESTIONS: Questions = &[
        ("What did the last cell change under the surface?", "last"),
        ("What did an earlier cell or import change?", "--cell 1"),
        ("What does each cell change, from now on?", "on"),
    ];
    const SCHEMA: &'static Schema = &columns::SCHEMA;
    type Args = NativeDeltaArgs;

    fn only_looks(args: &NativeDeltaArgs) -> bool {
        args.what == DeltaMode::Last
    }

    fn run(args: &NativeDeltaArgs, _context: &Context<'_, '_>) -> Result<Report, Error> {
        if let Some(number) = args.cell {
            let delta = lane::delta_of(number).ok_or_else(|| {
                Error::Usage(format!(
                    "%native_delta --cell {number}: no cell of this number has ended, or it is none of the last 500"
                ))
            })?;
            return of(&delta);
        }
        let report = match args.what {
            DeltaMode::Last => return last(lane::last_delta().as_deref()),
            DeltaMode::On => "from the next cell on, a line says what each cell changed",
            DeltaMode::Off => "no line is written any more; %native_delta last still tells",
        };
        *wish() = Wish {
            on: args.what == DeltaMode::On,
            by: running_cells::of_this_thread(),
        };
        Ok(Report {
            name: Self::NAME,
            summary: vec![report.into()],
            ..Report::default()
        })
    }
}

fn last(delta: Option<&Delta>) -> Result<Report, Error> {
    let nothing = "%native_delta: no cell has ended yet, or nobody says when cells begin and end";
    of(delta.ok_or_else(|| Error::Usage(nothing.into()))?)
}

fn of(delta: &Delta) -> Result<Report, Error> {
    Ok(Report {
        name: NativeDelta::NAME,
        columns: columns::COLUMNS,
        rows: rows([delta])?,
        summary: vec![delta.sentence()],
        ..Report::default()
    })
}

/// What the user wants to be told of a cell that has ended: the line to show, by MIME type, and the change for the
/// metadata of the reply, as JSON.
pub(crate) fn note(cell: CellId, delta: &Delta) -> (Option<Map<String, Value>>, Option<String>) {
    let Wish { on, by } = *wish();
    let line = (on && by != Some(cell)).then(|| view::line(&delta.sentence()));
    (
        line,
        on.then(|| serde_json::to_string(delta).ok()).flatten(),
    )
}

fn wish() -> ProcessLockGuard<'static, Wish> {
    WISH.lock()
}
