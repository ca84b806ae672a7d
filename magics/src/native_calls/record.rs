//! Runs a cell while everything is recorded. What was changed for it is undone before anything else happens, whatever
//! becomes of the cell.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use diaphane_sight::libs;
use diaphane_sight::maps::Maps;
use diaphane_trace::deep;
use diaphane_trace::recorder::{self, Plan, Recording, Refused};
use pyo3::prelude::*;
use regex::Regex;

use crate::boundary::{Boundary, Wanted};
use crate::cell_body::Body;
use crate::python_events::{Known, PythonEvents};
use crate::threads::{check_interpreter, place};
use crate::{Error, User};

/// How a cell is recorded.
pub(super) struct How {
    /// Whether every function is hooked at its entry.
    pub deep: bool,
    /// Only libraries whose file name matches.
    pub libraries: Option<Regex>,
    /// Whether arguments are kept.
    pub arguments: bool,
    /// How many events each thread may write.
    pub room: usize,
}

/// What was recorded of a cell.
pub(super) struct Recorded {
    pub recording: Recording,
    pub known: Known,
    /// How many calls between libraries were hooked, and how many inner loops.
    pub calls: usize,
    pub loops: usize,
    /// The names by which functions were asked for.
    pub names: HashMap<usize, String>,
    /// The inner loops of ufuncs.
    pub loop_addresses: HashSet<usize>,
    pub deep: Option<Deep>,
    /// The biases of libraries whose functions were all hooked.
    pub covered: Vec<usize>,
    /// What could not be seen, in words.
    pub limits: Vec<String>,
    /// How long it took to place the hooks, and to remove them.
    pub on: Duration,
    pub off: Duration,
    /// How the cell ended, if the caller has to raise it.
    pub outcome: PyResult<()>,
}

impl Recorded {
    /// Whether a function is an inner loop of a ufunc.
    pub fn is_loop(&self, address: usize) -> bool {
        self.loop_addresses.contains(&address)
    }
}

/// What became of the hooks at entries.
pub(super) struct Deep {
    /// How many functions were hooked.
    pub hooked: usize,
    /// How many could not be.
    pub skipped: usize,
    /// How long the other threads stood still, at the beginning and at the end.
    pub pauses: [Duration; 2],
}

/// Runs the cell.
pub(super) fn record(user: User<'_, '_>, body: &Body<'_, '_>, how: How) -> Result<Recorded, Error> {
    let py = user.py;
    check_interpreter(py);
    let mut limits = Vec::new();
    let prepared = how.deep.then(|| prepare(user, &how)).transpose()?;
    let covered: Vec<usize> = prepared
        .iter()
        .flat_map(|prepared| prepared.ready.iter().map(|ready| ready.bias))
        .collect();
    let wanted = Wanted {
        covered: covered.clone(),
        libraries: how.libraries.clone(),
        arguments: how.arguments,
    };
    let plan = Plan {
        room: how.room,
        place: place(py),
    };
    let running = recorder::begin(plan).map_err(|Refused::Busy| {
        Error::Usage(
            "%%native_calls: another recording is running, and there is one recorder; take the magic away inside of a recorded cell".into(),
        )
    })?;
    let started = Instant::now();
    let boundary = Arc::new(Mutex::new(Boundary::place(user, wanted)?));
    let applied = prepared
        .as_ref()
        .map(|prepared| (prepared, prepared.apply()));
    let (applied, mut about) = match applied {
        Some((prepared, Ok(applied))) => {
            let about = about(prepared, &applied, &mut limits);
            (Some(applied), Some(about))
        }
        Some((_, Err(refused))) => {
            limits.push(format!(
                "functions inside libraries were not hooked: {refused}"
            ));
            (None, None)
        }
        None => (None, None),
    };
    let mut events = PythonEvents::begin(py, after_load(user, &boundary))?;
    let on = started.elapsed();
    let outcome = body.run();
    let ended = Instant::now();
    events.stop(py);
    if let Some(applied) = applied {
        match (applied.restore(), &mut about) {
            (Ok(pause), Some(about)) => about.pauses[1] = pause,
            (Err(stays), _) => limits.push(stays.to_string()),
            _ => {}
        }
    }
    let (calls, loops, names, loop_addresses) = {
        let mut boundary = boundary.lock().unwrap_or_else(PoisonError::into_inner);
        boundary.remove();
        limits.append(&mut boundary.limits);
        (
            boundary.calls(),
            boundary.loops(),
            boundary.names(),
            boundary.loop_addresses(),
        )
    };
    let off = ended.elapsed();
    let recording = running.end();
    let mut known = events.known(py)?;
    limits.append(&mut known.limits);
    Ok(Recorded {
        recording,
        known,
        calls,
        loops,
        names,
        loop_addresses,
        deep: about,
        covered,
        limits,
        on,
        off,
        outcome,
    })
}

/// Looks at the libraries whose functions are to be hooked. It takes up to a second the first time.
fn prepare(user: User<'_, '_>, how: &How) -> Result<deep::Prepared, Error> {
    let libraries = libs::loaded(&Maps::read()?)?;
    let mut chosen = deep::usual(&libraries);
    if let Some(pattern) = &how.libraries {
        chosen = libraries
            .iter()
            .filter(|library| pattern.is_match(&library.name))
            .collect();
        if chosen.is_empty() {
            let names: Vec<&str> = libraries.iter().map(|one| one.name.as_str()).collect();
            return Err(Error::Usage(format!(
                "%%native_calls: --libs {:?} matches none of the {} loaded libraries; %loaded_libs lists them",
                pattern.as_str(),
                names.len()
            )));
        }
    }
    Ok(user.py.detach(|| deep::prepare(&chosen)))
}

fn about(prepared: &deep::Prepared, applied: &deep::Applied, limits: &mut Vec<String>) -> Deep {
    for (library, unfit) in &prepared.unfit {
        limits.push(format!("{library}: its functions were not hooked: {unfit}"));
    }
    for (library, tid) in &applied.left_out {
        limits.push(format!(
            "{library}: its functions were not hooked, because thread {tid} runs them and cannot be stopped"
        ));
    }
    let skipped = prepared
        .ready
        .iter()
        .flat_map(|ready| ready.skipped.values())
        .sum();
    Deep {
        hooked: applied.hooked,
        skipped,
        pauses: [applied.pause, Duration::ZERO],
    }
}

/// What is loaded while the cell runs is hooked too.
fn after_load(
    user: User<'_, '_>,
    boundary: &Arc<Mutex<Boundary>>,
) -> crate::python_events::AfterLoad {
    let boundary = Arc::clone(boundary);
    let namespace = user.namespace.clone().unbind();
    Box::new(move |py| {
        let user = User {
            py,
            namespace: namespace.bind(py),
        };
        // Who waits for the lock would hold the GIL; there is only this one and the end of the cell.
        if let Ok(mut boundary) = boundary.try_lock() {
            // A failure costs what the new library does, and nothing else.
            let _ = boundary.extend(user);
        }
    })
}
