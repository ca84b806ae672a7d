//! Watches who holds the GIL while a cell runs, and in which native function, as long as others wait for it.
//!
//! A thread of its own looks every few milliseconds. Whoever waits asks the holder to give way, which Python code does
//! at its next instructions; so a holder that stays, with the same thread waiting, is in native code that keeps the
//! GIL. What it runs is read from its stack once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use diaphane_sight::linker::libraries;
use diaphane_sight::proc::spans::Span;
use diaphane_sight::threads::Task;
use diaphane_trace::helper_thread::{Helper, Shift};

use crate::stacks::merged::{FrameKind, StackOptions, stacks_of};
use crate::stacks::snapshot::ProcessSnapshot;
use diaphane_cpython::interpreter::{Interpreter, is_gil_wait};
use diaphane_cpython::symbols;
use diaphane_report::view::time;
use diaphane_report::{Diagnosis, Severity};

/// The time between two looks: as long as Python itself waits before it asks for the GIL.
const STEP: Duration = Duration::from_millis(5);
/// A shorter stretch is not looked into.
const LONG: Duration = Duration::from_millis(20);
/// Less time than this is not worth a word.
const WORTH: Duration = Duration::from_millis(50);
/// No more stacks are taken than these.
const MOST_STACKS: usize = 32;

/// The watch; it ends when this is dropped.
pub(crate) struct GilWatch(Helper<Vec<Stretch>>);

/// A while in which one thread held the GIL and another one waited for it.
struct Stretch {
    holder: i32,
    waiting: BTreeSet<i32>,
    began: Instant,
    last: Instant,
    /// The function and its library.
    at: Option<(String, String)>,
    /// Whether it still lasted when the stack had been taken.
    is_sure: bool,
}

/// What one look sees.
struct Look {
    holder: i32,
    waiting: BTreeSet<i32>,
}

impl GilWatch {
    /// Begins; without a thread to spare nothing is watched.
    pub(crate) fn begin() -> Self {
        Self(Helper::begin("diaphane-gil", watch))
    }

    /// Ends, and says what is remarkable.
    pub(crate) fn end(self) -> Vec<Diagnosis> {
        findings(&self.0.end().unwrap_or_default())
    }
}

fn watch(shift: &Shift) -> Vec<Stretch> {
    let mut all = Vec::new();
    // A cell that is over by then pays for the thread and for nothing else.
    if !shift.goes_on(STEP) {
        return all;
    }
    let Some(runtime) = runtime() else { return all };
    let mut now: Option<Stretch> = None;
    let mut stacks = 0;
    while shift.goes_on(STEP) {
        let look = Look::now(runtime);
        if let (Some(stretch), Some(look)) = (&mut now, &look)
            && stretch.goes_on(look)
        {
            if stretch.at.is_none() && stretch.time() >= LONG && stacks < MOST_STACKS {
                stacks += 1;
                stretch.at = working(stretch.holder);
            }
            continue;
        }
        all.extend(now.take());
        now = look.map(Stretch::of);
    }
    all.extend(now);
    all.retain(|stretch| stretch.is_sure && stretch.time() >= LONG);
    all
}

impl Stretch {
    fn of(look: Look) -> Self {
        let now = Instant::now();
        Self {
            holder: look.holder,
            waiting: look.waiting,
            began: now,
            last: now,
            at: None,
            is_sure: false,
        }
    }

    /// Whether it lasts, with one who has waited since the look before.
    fn goes_on(&mut self, look: &Look) -> bool {
        let lasts = self.holder == look.holder && !self.waiting.is_disjoint(&look.waiting);
        if lasts {
            self.last = Instant::now();
            self.is_sure |= self.at.is_some();
            self.waiting.clone_from(&look.waiting);
        }
        lasts
    }

    fn time(&self) -> Duration {
        self.last - self.began
    }
}

impl Look {
    /// Who holds the GIL, if somebody waits for it.
    fn now(runtime: Span) -> Option<Self> {
        let interpreter = Interpreter::look();
        let holder = interpreter.holder?;
        let others = interpreter.states.keys().filter(|tid| **tid != holder);
        let waits = |tid: &&i32| {
            let call = Task::new(**tid).call();
            call.is_some_and(|call| is_gil_wait(Some(runtime), &call))
        };
        let waiting: BTreeSet<i32> = others.filter(waits).copied().collect();
        (!waiting.is_empty()).then_some(Self { holder, waiting })
    }
}

/// Where the interpreter's own memory is.
fn runtime() -> Option<Span> {
    let libraries = libraries::now().ok()?;
    symbols::runtime(&libraries)
}

/// The innermost native function of a thread that is neither the interpreter's nor the C library's, and its library;
/// nothing if the thread runs Python, or code of ours.
fn working(tid: i32) -> Option<(String, String)> {
    let mut snapshot = ProcessSnapshot::look().ok()?;
    snapshot.threads.retain(|thread| thread.tid == tid);
    let merged =
        stacks_of(&snapshot, StackOptions::default(), |one| one.tid == tid).remove(&tid)?;
    let mut native = merged
        .calls
        .into_iter()
        .take_while(|call| call.kind == FrameKind::Native);
    let is_vdso = |index: usize| snapshot.libraries[index].kind == libraries::LibraryKind::Vdso;
    let call = native.find(|call| !call.plumbing && !call.index.is_none_or(is_vdso))?;
    // What we do around the code that is recorded is no finding about it.
    let own = working as *const () as usize;
    let is_own = |index: usize| snapshot.libraries[index].span.contains(own);
    if call.index.is_some_and(is_own) {
        return None;
    }
    let name = call.function.unwrap_or_else(|| "a function".into());
    Some((name, call.library?))
}

/// C007: native code kept the GIL while others wanted it.
fn findings(stretches: &[Stretch]) -> Vec<Diagnosis> {
    let mut by_function: BTreeMap<&(String, String), Vec<&Stretch>> = BTreeMap::new();
    for stretch in stretches {
        if let Some(at) = &stretch.at {
            by_function.entry(at).or_default().push(stretch);
        }
    }
    let told = by_function
        .into_iter()
        .filter_map(|(at, stretches)| tell(at, &stretches));
    told.collect()
}

fn tell((function, library): &(String, String), stretches: &[&Stretch]) -> Option<Diagnosis> {
    let total: Duration = stretches.iter().map(|stretch| stretch.time()).sum();
    let longest = stretches.iter().map(|stretch| stretch.time()).max()?;
    let waiting: BTreeSet<i32> = stretches
        .iter()
        .flat_map(|one| one.waiting.clone())
        .collect();
    let words = |time_: Duration| time(time_.as_nanos() as f64);
    let waited = match waiting.len() {
        1 => "another Python thread waited".to_owned(),
        many => format!("{many} other Python threads waited"),
    };
    let tids: Vec<String> = waiting.iter().map(i32::to_string).collect();
    (total >= WORTH).then(|| Diagnosis {
        code: "C007",
        severity: Severity::Warn,
        title: format!(
            "{function} of {library} held the GIL for at least {}, while {waited} for it.",
            words(total)
        ),
        evidence: vec![
            format!(
                "seen {} times without a pause, for at least {} at the longest; looked at every {}",
                stretches.len(),
                words(longest),
                words(STEP)
            ),
            format!("held by thread {}; waiting: {}", stretches[0].holder, tids.join(", ")),
        ],
        fix: "Have the function release the GIL: Py_BEGIN_ALLOW_THREADS in C, `nogil` in Cython, detach in PyO3, ctypes.CDLL in place of PyDLL; or run such work in processes."
            .into(),
    })
}
