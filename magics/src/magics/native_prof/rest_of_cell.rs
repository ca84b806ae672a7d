//! The profile of the rest of a cell that runs: begun and ended from outside, at any moment, also while native code has the
//! GIL. It ends with its cell at the latest, and the last one is kept, of which a report is made whenever it is asked for.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use diaphane_cpython::interpreter::note;
use diaphane_forks::ProcessLock;
use diaphane_report::Report;
use diaphane_report::view::time;
use diaphane_sight::proc::resource_usage::monotonic_ns;
use diaphane_sight::threads::running_cells::{CellId, running, thread_of};
use diaphane_trace::sampler::{Clock, Threads};
use pyo3::prelude::*;
use serde::Serialize;

use super::gather::Gather;
use super::profile::Profile;
use super::samples::{Samples, Settings, TakenSamples};
use super::summary::{self, Profiled, Spent};
use crate::error::Error;
use crate::magic::Context;
use crate::session::{cell_files, lane};
use crate::stacks::monitor::{note_thread_names, noted_thread_names};

/// The one that was begun last in this process.
static REST: ProcessLock<Option<RestOfCell>> = ProcessLock::new(|| None);

struct RestOfCell {
    /// A child of a fork has a copy, in which nothing goes on.
    process: u32,
    number: u64,
    cell: CellId,
    /// When the cell began, when it was looked at from, and until when, by the monotonic clock.
    cell_ns: u64,
    since_ns: u64,
    until_ns: Option<u64>,
    /// Whether somebody has ended it before the cell did.
    was_stopped: bool,
    stage: Stage,
}

enum Stage {
    /// Somebody begins or ends it.
    Changing,
    Taking(Box<Samples>),
    Taken(Box<TakenSamples>),
    Known(Arc<KnownProfile>),
}

/// One that was added up.
struct KnownProfile {
    profile: Profile,
    spent: Spent,
}

/// How the last profile of the rest of a cell stands.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct ProfileState {
    /// Counts them, so that a new one is known.
    number: u64,
    /// The number of its cell, which may have none.
    cell: Option<u32>,
    /// From when to when, by the monotonic clock; it has no end while it goes on.
    since_ns: u64,
    until_ns: Option<u64>,
}

/// Why none begins.
#[derive(Debug, thiserror::Error)]
pub enum ProfileRefused {
    /// There is nothing to look at.
    #[error("no cell runs; above a cell, %%native_prof looks at it from its beginning")]
    NoCell,
    /// One at a time.
    #[error("{0} is being profiled already; that ends with the cell, or when somebody stops it")]
    Busy(String),
    /// It could not be begun.
    #[error(transparent)]
    Failed(#[from] Error),
}

impl ProfileRefused {
    /// The name of the error in a reply.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::NoCell => "NoCell",
            Self::Busy(_) => "ProfileBusy",
            Self::Failed(error) => error.name(),
        }
    }
}

/// Begins to profile the cell that has run for longest. Nobody needs the GIL for that.
///
/// # Errors
/// When no cell runs, or samples are being taken already.
pub fn begin() -> Result<ProfileState, ProfileRefused> {
    lane::hear_ends(|cell| {
        if profile_state().is_some_and(|state| state.until_ns.is_none()) {
            // Who holds the GIL here lets others have it meanwhile.
            Python::try_attach(|py| py.detach(|| finish(Some(cell))));
        }
    });
    let (cell, cell_ns) = *running().first().ok_or(ProfileRefused::NoCell)?;
    let main = thread_of(cell).ok_or(ProfileRefused::NoCell)?;
    let number = reserve(cell, cell_ns)?;
    let gather = Gather::new(main, &file_of(cell), false);
    let begun = Samples::begin(usual(), gather, (0, note));
    let mut rest = REST.lock();
    let Some(own) = rest.as_mut().filter(|one| one.number == number) else {
        return Err(ProfileRefused::NoCell);
    };
    match begun {
        Ok(samples) => own.stage = Stage::Taking(Box::new(samples)),
        Err(error) => {
            *rest = None;
            return Err(error.into());
        }
    }
    own.since_ns = monotonic_ns();
    let state = own.state();
    drop(rest);
    // Where the cell has ended meanwhile, nobody heard of it.
    if thread_of(cell).is_none() {
        finish(Some(cell));
    }
    Ok(profile_state().unwrap_or(state))
}

/// Ends the profile that goes on. How the last one stands, if there is one.
pub fn end() -> Option<ProfileState> {
    finish(None);
    profile_state()
}

/// How the last profile stands.
pub fn profile_state() -> Option<ProfileState> {
    let rest = REST.lock();
    let own = rest.as_ref().filter(|one| one.is_here());
    own.map(RestOfCell::state)
}

/// Takes the one place there is.
fn reserve(cell: CellId, cell_ns: u64) -> Result<u64, ProfileRefused> {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let mut rest = REST.lock();
    if let Some(own) = rest.as_ref().filter(|one| one.is_here())
        && matches!(own.stage, Stage::Changing | Stage::Taking(_))
    {
        return Err(ProfileRefused::Busy(named(own.cell, "A cell")));
    }
    let number = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    let before = rest.replace(RestOfCell {
        process: std::process::id(),
        number,
        cell,
        cell_ns,
        since_ns: monotonic_ns(),
        until_ns: None,
        was_stopped: false,
        stage: Stage::Changing,
    });
    // Freeing it takes a moment, for which nobody waits.
    drop(rest);
    drop(before);
    Ok(number)
}

/// Ends what goes on, where it is about this cell, or about any.
fn finish(cell: Option<CellId>) {
    let samples = {
        let mut rest = REST.lock();
        let own = rest.as_mut().filter(|one| one.is_here());
        let Some(own) = own.filter(|one| cell.is_none_or(|cell| cell == one.cell)) else {
            return;
        };
        match mem::replace(&mut own.stage, Stage::Changing) {
            Stage::Taking(samples) => samples,
            other => {
                own.stage = other;
                return;
            }
        }
    };
    let (executed, taken) = samples.end();
    let mut rest = REST.lock();
    match (rest.as_mut(), taken) {
        (Some(own), Some(taken)) => {
            own.stage = Stage::Taken(Box::new(taken));
            own.until_ns = Some(monotonic_ns());
            own.was_stopped = cell.is_none();
        }
        _ => *rest = None,
    }
    drop(rest);
    drop(executed);
}

/// The report of the last one, and the files that are asked for.
pub(super) fn report(asked: Settings, context: &Context<'_, '_>) -> Result<Report, Error> {
    if let Some(user) = context.user {
        note_thread_names(user.py);
    }
    let (known, lead, cell) = context.without_gil(known)?;
    let settings = Settings {
        files: asked.files,
        ..usual()
    };
    let about = (context.user, &*file_of(cell), Profiled::Rest);
    let mut report = summary::report(&settings, &known.profile, &known.spent, about)?;
    report.lead.insert(0, lead);
    if context.user.is_none() {
        report.limits.push(
            "the text of the lines is missing: Python was not to be had, as where native code holds the GIL; \
             %native_prof --last has it when the cell has ended"
                .into(),
        );
    }
    Ok(report)
}

/// The last one, what part of its cell it covers, and its cell.
fn known() -> Result<(Arc<KnownProfile>, String, CellId), Error> {
    let names = noted_thread_names();
    let refuse = |why: &str| Err(Error::Usage(format!("%native_prof --last: {why}")));
    let mut rest = REST.lock();
    let Some(own) = rest.as_mut().filter(|one| one.is_here()) else {
        return refuse(
            "the rest of no cell was profiled yet; the panel of JupyterLab has a button for it",
        );
    };
    let known = match mem::replace(&mut own.stage, Stage::Changing) {
        Stage::Taken(taken) => Arc::new(KnownProfile {
            profile: Profile::of(taken.gather, taken.totals, &names),
            spent: taken.spent,
        }),
        Stage::Known(known) => known,
        other => {
            own.stage = other;
            return refuse("it is not done yet: it ends with its cell, or when somebody stops it");
        }
    };
    own.stage = Stage::Known(Arc::clone(&known));
    Ok((known, own.lead(), own.cell))
}

impl RestOfCell {
    fn is_here(&self) -> bool {
        self.process == std::process::id()
    }

    fn state(&self) -> ProfileState {
        ProfileState {
            number: self.number,
            cell: self.cell.number(),
            since_ns: self.since_ns,
            until_ns: self.until_ns,
        }
    }

    fn lead(&self) -> String {
        let lasted = |from: u64, to: u64| time(to.saturating_sub(from) as f64);
        format!(
            "This is {} from {} after its beginning, for {}, {}.",
            named(self.cell, "a cell"),
            lasted(self.cell_ns, self.since_ns),
            lasted(self.since_ns, self.until_ns.unwrap_or(self.since_ns)),
            match self.was_stopped {
                true => "until it was stopped",
                false => "to its end",
            }
        )
    }
}

fn named(cell: CellId, nameless: &str) -> String {
    let name = cell.number().map(|number| format!("In[{number}]"));
    name.unwrap_or_else(|| nameless.to_owned())
}

/// The file name of its code; empty where it is not known.
fn file_of(cell: CellId) -> Box<str> {
    let file = cell.number().and_then(cell_files::file_of_cell);
    file.unwrap_or_default()
}

/// As `%%native_prof` looks without options.
fn usual() -> Settings {
    Settings {
        hz: 499,
        clock: Clock::Busy,
        threads: Threads::Users,
        lines: false,
        repeat: false,
        files: Vec::new(),
        children: false,
    }
}
