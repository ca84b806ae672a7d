//! Runs a cell while everything is recorded. What was changed for it is undone before anything else happens, whatever
//! becomes of the cell.

use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use diaphane_sight::linker::libraries;
use diaphane_sight::linker::libraries::Library;
use diaphane_trace::event::Event;
use diaphane_trace::inline_hooks;
use diaphane_trace::recorder::{
    self, Ahead, CallRecording, EventAllowance, Mark, RecorderPlan, RecorderRefused,
    RunningRecorder,
};
use pyo3::prelude::*;
use regex::Regex;

use crate::error::Error;
use crate::magic::{RecordedCode, User, Way};
use crate::recording::arguments::{ArgumentWatch, CallArguments, WatchedArguments};
use crate::recording::gil_watch::GilWatch;
use crate::recording::hook_plan::{HookOptions, HookPlan};
use crate::recording::signatures;
use diaphane_cpython::events::{Known, PythonEvents};
use diaphane_cpython::interpreter::place;
use diaphane_cpython::{check, support};
use diaphane_report::Diagnosis;

/// There is one recorder.
const BUSY: &str = "%%native_calls: another recording is running, and there is one recorder; \
                    take the magic away inside of what is recorded";
/// They are far too many.
const NOT_WITH_DEEP: &str = "what Python's own allocators were given is not kept with --deep";

/// How a cell is recorded.
pub(super) struct RecordOptions {
    /// Whether every function is hooked at its entry.
    pub deep: bool,
    /// Only libraries whose file name matches.
    pub libraries: Option<Regex>,
    /// Whether arguments are kept.
    pub arguments: bool,
    /// How many events each thread may write, if the user says so.
    pub capacity: Option<usize>,
    /// Whether an import is one step.
    pub fold_imports: bool,
}

impl RecordOptions {
    /// How many events there may be. To write one and to make a tree of it takes some hundred nanoseconds, and a cell
    /// shall take no more than twice its time, or below --deep five times.
    fn allowance(&self) -> Option<EventAllowance> {
        let allowance = EventAllowance {
            at_least: 500_000,
            per_ms: if self.deep { 3000 } else { 1500 },
            at_most: 4_000_000,
        };
        self.capacity.is_none().then_some(allowance)
    }
}

/// What was recorded of a cell.
pub(super) struct Recorded {
    pub recording: CallRecording,
    pub known: Known,
    /// How many calls between libraries were hooked, and how many inner loops.
    pub calls: usize,
    pub loops: usize,
    /// The names by which functions were asked for.
    pub names: HashMap<usize, String>,
    /// The inner loops of ufuncs.
    pub loop_addresses: HashSet<usize>,
    pub deep: Option<Deep>,
    /// What was handed to the functions, where it was kept.
    pub arguments: Option<(CallArguments, WatchedArguments)>,
    /// The biases of libraries whose functions were all hooked.
    pub covered: Vec<usize>,
    /// Native functions that kept the GIL while others waited for it.
    pub held: Vec<Diagnosis>,
    /// What could not be seen, in words.
    pub limits: Vec<String>,
    /// Whether an import is one step.
    pub fold_imports: bool,
    /// How long it took to place the hooks, and to remove them.
    pub on: Duration,
    pub off: Duration,
    /// How long the cell took.
    pub took: Duration,
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

/// A recording that runs. What is dropped is undone, in the order of the fields.
pub(super) struct RunningCalls {
    gil: GilWatch,
    ahead: Ahead,
    events: PythonEvents,
    watch: Option<ArgumentWatch>,
    applied: Option<inline_hooks::Applied>,
    hook_plan: Arc<Mutex<HookPlan>>,
    running: RunningRecorder,
    deep: Option<Deep>,
    covered: Vec<usize>,
    limits: Vec<String>,
    fold_imports: bool,
    on: Duration,
    began: Instant,
}

impl RunningCalls {
    /// Begins.
    pub fn begin(
        user: User<'_, '_>,
        code: &RecordedCode,
        how: RecordOptions,
    ) -> Result<Self, Error> {
        let py = user.py;
        check(py);
        let mut limits = Vec::from_iter(support());
        limits.extend((how.arguments && how.deep).then(|| NOT_WITH_DEEP.into()));
        let prepared = how.deep.then(|| prepare(user, &how)).transpose()?;
        let plan = plan(py, &how);
        let watch = || ArgumentWatch::begin(user, &code.names);
        let watch = how.arguments.then(watch).transpose()?;
        let running =
            recorder::begin(plan).map_err(|RecorderRefused::Busy| Error::Usage(BUSY.into()))?;
        let started = Instant::now();
        let (applied, deep) = apply(prepared.as_ref(), &mut limits);
        let covered = covered(prepared.as_ref(), applied.as_ref());
        let hook_plan = HookPlan::install(user, wanted(&covered, &how))?;
        let hook_plan = Arc::new(Mutex::new(hook_plan));
        let after_load = after_load(user, &hook_plan);
        let events = PythonEvents::begin(py, code.file.bind(py), how.fold_imports, after_load)?;
        let on = started.elapsed();
        // No more than enough is recorded, and its memory made ready ahead.
        let (ahead, gil) = (Ahead::begin(how.allowance()), GilWatch::begin());
        if code.way == Way::Block {
            recorder::forget_since(Mark::default());
        }
        Ok(Self {
            gil,
            ahead,
            events,
            watch,
            applied,
            hook_plan,
            running,
            deep,
            covered,
            limits,
            fold_imports: how.fold_imports,
            on,
            began: Instant::now(),
        })
    }

    /// Ends it.
    pub fn end(self, user: User<'_, '_>) -> Result<Recorded, Error> {
        let took = self.began.elapsed();
        let Self {
            gil,
            ahead,
            mut events,
            mut watch,
            applied,
            hook_plan,
            running,
            mut deep,
            covered,
            mut limits,
            fold_imports,
            on,
            ..
        } = self;
        let py = user.py;
        drop(ahead);
        let held = gil.end();
        let ended = Instant::now();
        events.stop(py);
        let stopped = watch.as_mut().map(|watch| watch.stop(py));
        restore(applied, &mut deep, &mut limits);
        let (calls, loops, names, loop_addresses) = removed(&hook_plan, &mut limits);
        let off = ended.elapsed();
        let recording = running.end();
        stopped.transpose()?;
        let arguments = arguments(user, watch, &hook_plan, &recording, &mut limits)?;
        let mut known = events.known(py)?;
        limits.append(&mut known.limits);
        Ok(Recorded {
            recording,
            known,
            calls,
            loops,
            names,
            loop_addresses,
            deep,
            arguments,
            covered,
            held,
            limits,
            fold_imports,
            on,
            off,
            took,
        })
    }
}

/// How many calls and loops were hooked, their names, and the loops' addresses.
type Hooked = (usize, usize, HashMap<usize, String>, HashSet<usize>);

/// Takes the hooks in tables away.
fn removed(hook_plan: &Mutex<HookPlan>, limits: &mut Vec<String>) -> Hooked {
    let mut hook_plan = hook_plan.lock();
    hook_plan.remove();
    limits.append(&mut hook_plan.limits);
    (
        hook_plan.calls(),
        hook_plan.loops(),
        hook_plan.names(),
        hook_plan.loop_addresses(),
    )
}

/// What the recorder is to keep.
fn plan(py: Python<'_>, how: &RecordOptions) -> RecorderPlan {
    RecorderPlan {
        capacity: how.capacity.unwrap_or(usize::MAX / size_of::<Event>()),
        place: place(py),
        words: how.arguments,
    }
}

/// What is hooked in tables: not what is hooked at its entries already.
fn wanted(covered: &[usize], how: &RecordOptions) -> HookOptions {
    HookOptions {
        covered: covered.to_vec(),
        libraries: how.libraries.clone(),
        arguments: how.arguments,
    }
}

/// Writes the hooks at entries, if there are to be any.
fn apply(
    prepared: Option<&inline_hooks::PreparedInlineHooks>,
    limits: &mut Vec<String>,
) -> (Option<inline_hooks::Applied>, Option<Deep>) {
    let Some(prepared) = prepared else {
        return (None, None);
    };
    match prepared.apply() {
        Ok(applied) => {
            let about = about(prepared, &applied, limits);
            (Some(applied), Some(about))
        }
        Err(refused) => {
            limits.push(format!(
                "functions inside libraries were not hooked: {refused}"
            ));
            (None, None)
        }
    }
}

/// Takes them back.
fn restore(
    applied: Option<inline_hooks::Applied>,
    about: &mut Option<Deep>,
    limits: &mut Vec<String>,
) {
    let Some(applied) = applied else { return };
    match (applied.restore(), about) {
        (Ok(pause), Some(about)) => about.pauses[1] = pause,
        (Err(stays), _) => limits.push(stays.to_string()),
        _ => {}
    }
}

/// What the words of the recording mean, where they were kept.
fn arguments(
    user: User<'_, '_>,
    watch: Option<ArgumentWatch>,
    hook_plan: &Mutex<HookPlan>,
    recording: &CallRecording,
    limits: &mut Vec<String>,
) -> Result<Option<(CallArguments, WatchedArguments)>, Error> {
    let Some(watch) = watch else {
        return Ok(None);
    };
    let mut watched = watch.end(user)?;
    limits.append(&mut watched.limits);
    let hook_plan = hook_plan.lock();
    let arguments = CallArguments::of(&recording.logs, &hook_plan, &watched);
    Ok(Some((arguments, watched)))
}

/// Looks at the libraries whose functions are to be hooked. It takes up to a second the first time.
fn prepare(
    user: User<'_, '_>,
    how: &RecordOptions,
) -> Result<inline_hooks::PreparedInlineHooks, Error> {
    let libraries = libraries::now()?;
    let mut chosen = inline_hooks::usual(&libraries);
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
    let words = |library: &Library| signatures::algebra_in(library).into_keys().collect();
    Ok(user.py.detach(|| inline_hooks::prepare(&chosen, words)))
}

/// The biases of the libraries all of whose functions are hooked.
fn covered(
    prepared: Option<&inline_hooks::PreparedInlineHooks>,
    applied: Option<&inline_hooks::Applied>,
) -> Vec<usize> {
    let (Some(prepared), Some(applied)) = (prepared, applied) else {
        return Vec::new();
    };
    let is_left_out = |name: &String| applied.left_out.iter().any(|(left, _)| left == name);
    let hooked = prepared
        .ready
        .iter()
        .filter(|ready| !is_left_out(&ready.name));
    hooked.map(|ready| ready.bias).collect()
}

fn about(
    prepared: &inline_hooks::PreparedInlineHooks,
    applied: &inline_hooks::Applied,
    limits: &mut Vec<String>,
) -> Deep {
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
    hook_plan: &Arc<Mutex<HookPlan>>,
) -> diaphane_cpython::events::AfterLoad {
    let hook_plan = Arc::clone(hook_plan);
    let namespace = user.namespace.clone().unbind();
    Box::new(move |py| {
        let user = User::new(py, namespace.bind(py));
        // Who waits for the lock would hold the GIL; there is only this one and the end of the cell.
        if let Some(mut hook_plan) = hook_plan.try_lock() {
            // A failure costs what the new library does, and nothing else.
            let _ = hook_plan.extend(user);
        }
    })
}
