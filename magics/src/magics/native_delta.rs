//! `%native_delta`: what a cell changed under the surface: libraries, threads, memory, buffers, CPU time, page faults.
//!
//! Every cell is measured, since that takes some ten microseconds; only `on` shows the line.

mod columns;

use clap::ValueEnum;
use diaphane_forks::{ProcessLock, ProcessLockGuard};
use serde_json::{Map, Value};

use crate::error::Error;
use crate::magic::{Context, Magic};
use crate::session::deltas::Delta;
use diaphane_report::{Report, Schema, rows, view};

/// Show what each cell changed under the surface.
///
/// `on` writes a line under every cell from the next one on, `off` ends that, and `last` reports on the cell before
/// this one, whether a line was written or not.
#[derive(Debug, clap::Args)]
pub(crate) struct NativeDeltaArgs {
    /// on, off or last
    #[arg(
        value_name = "on|off|last",
        default_value = "last",
        hide_possible_values = true
    )]
    what: DeltaMode,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DeltaMode {
    On,
    Off,
    Last,
}

/// What was asked for, and the cell that ended last.
#[derive(Debug, Default)]
struct State {
    on: bool,
    /// The cell that switches it on has no line of its own.
    begins: bool,
    last: Option<Delta>,
}

static STATE: ProcessLock<State> = ProcessLock::new(|| State {
    on: false,
    begins: false,
    last: None,
});

/// The magic.
pub(crate) struct NativeDelta;

impl Magic for NativeDelta {
    const NAME: &'static str = "native_delta";
    const SCHEMA: &'static Schema = &columns::SCHEMA;
    type Args = NativeDeltaArgs;

    fn only_looks(args: &NativeDeltaArgs) -> bool {
        args.what == DeltaMode::Last
    }

    fn run(args: &NativeDeltaArgs, _context: &Context<'_, '_>) -> Result<Report, Error> {
        let mut state = lock();
        let report = match args.what {
            DeltaMode::Last => return last(state.last.as_ref()),
            DeltaMode::On => "from the next cell on, a line says what each cell changed",
            DeltaMode::Off => "no line is written any more; %native_delta last still tells",
        };
        state.on = args.what == DeltaMode::On;
        state.begins = state.on;
        Ok(Report {
            name: Self::NAME,
            summary: vec![report.into()],
            ..Report::default()
        })
    }
}

fn last(delta: Option<&Delta>) -> Result<Report, Error> {
    let Some(delta) = delta else {
        return Err(Error::Usage(
            "%native_delta: no cell has ended yet, or nobody says when cells begin and end".into(),
        ));
    };
    Ok(Report {
        name: NativeDelta::NAME,
        columns: columns::COLUMNS,
        rows: rows([delta])?,
        summary: vec![delta.sentence()],
        ..Report::default()
    })
}

/// A cell has ended: the line to show, by MIME type, if the user wants one.
pub(crate) fn note(delta: Delta) -> Option<Map<String, Value>> {
    let mut state = lock();
    let shown = state.on && !std::mem::take(&mut state.begins);
    let line = shown.then(|| view::line(&delta.sentence()));
    state.last = Some(delta);
    line
}

/// What the cell that ended last has changed, if the user wants to be told.
pub(crate) fn for_the_reply() -> Option<Value> {
    let state = lock();
    let delta = state.last.as_ref().filter(|_| state.on)?;
    serde_json::to_value(delta).ok()
}

fn lock() -> ProcessLockGuard<'static, State> {
    STATE.lock()
}
