//! Threads that block the signal, so that they cannot be stopped: which of the libraries each of them runs.
//!
//! Such a thread is left running where its whole stack, up to the thread's first function, lies outside of the code that
//! will be changed: it belongs to another part of the program, as those do that serve sockets. This is found out before
//! any thread is stopped, since unwinding allocates. The threads of the program's own that serve its sockets are known
//! (`let_run`), and need not be looked at each time.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use diaphane_forks::{ForkOnce, ProcessLock};
use diaphane_sight::linker::libraries;
use diaphane_sight::linker::libraries::Library;
use diaphane_sight::proc::maps::Maps;
use diaphane_sight::proc::tasks;
use diaphane_sight::runtimes::families::is_cpython;
use diaphane_sight::threads::add_own_thread;
use diaphane_sight::unwind::{Stack, Unwinder, asleep};

use super::library::Ready;
use super::signal::handled;
use crate::inline_hooks::stop_the_world::InlineHooksRefused;

/// A thread that blocks the signal and sleeps.
#[derive(Debug)]
pub(super) struct UnsignalledThread {
    pub(super) tid: i32,
    /// The libraries whose code it runs.
    pub(super) runs: Vec<&'static Ready>,
}

/// The process and the threads in it that run nothing but the program and what it is linked with.
static OWN: ProcessLock<(u32, Vec<i32>)> = ProcessLock::new(|| (0, Vec::new()));
/// What the program is linked with, but for Python, and what Python needs.
static LINKED: ForkOnce<Option<Vec<String>>> = ForkOnce::new();

/// Between two looks at a thread that runs.
const LOOK: Duration = Duration::from_micros(200);

/// From now on a thread of this process is never stopped, nor looked at: it runs the program's own code, which is not
/// Python's, and blocks all signals.
pub fn let_run(tid: i32) {
    add_own_thread(tid);
    let mut own = OWN.lock();
    if own.0 != std::process::id() {
        *own = (std::process::id(), Vec::new());
    }
    own.1.push(tid);
}

/// Looks at all threads that block the signal, and waits a little for those that run.
pub(super) fn unsignalled(
    libraries: &[&'static Ready],
    timeout: Duration,
) -> Result<Vec<UnsignalledThread>, InlineHooksRefused> {
    let signal = handled().ok_or(InlineHooksRefused::Signal)?;
    let own = rustix::thread::gettid().as_raw_nonzero().get();
    let mut blocking = Vec::new();
    let blocks = |tid| tasks::status(tid).is_some_and(|status| status.blocks(signal));
    tasks::each(|tid| {
        if tid != own && blocks(tid) {
            blocking.push(tid);
        }
    })
    .ok_or(InlineHooksRefused::Threads)?;
    if blocking.is_empty() {
        return Ok(Vec::new());
    }
    let mut found = leave_own(&mut blocking, libraries);
    if blocking.is_empty() {
        return Ok(found);
    }
    let maps = Maps::read().map_err(|_| InlineHooksRefused::Threads)?;
    let loaded = libraries::loaded(&maps).map_err(|_| InlineHooksRefused::Threads)?;
    let mut unwinder = Unwinder::new(&loaded);
    let deadline = Instant::now() + timeout;
    for tid in blocking {
        // One that takes the signal by now, or is gone, was beginning.
        while blocks(tid) {
            if let Some(stack) = asleep(tid, &maps, &mut unwinder) {
                let runs = run_by(&stack, libraries);
                if !runs.is_empty() || stack.complete {
                    found.push(UnsignalledThread { tid, runs });
                    break;
                }
            }
            if Instant::now() > deadline {
                break;
            }
            std::thread::sleep(LOOK);
        }
    }
    Ok(found)
}

/// Takes the program's own threads off a list, unless one of the libraries may be theirs too.
fn leave_own(blocking: &mut Vec<i32>, libraries: &[&'static Ready]) -> Vec<UnsignalledThread> {
    let own = OWN.lock();
    let linked = LINKED.get_or_init(linked).as_ref();
    let theirs = |one: &&Ready| linked.is_none_or(|linked| one.is_among(linked));
    if own.0 != std::process::id() || libraries.iter().any(theirs) {
        return Vec::new();
    }
    let left: Vec<i32> = blocking.extract_if(.., |tid| own.1.contains(tid)).collect();
    let thread = |tid| UnsignalledThread {
        tid,
        runs: Vec::new(),
    };
    left.into_iter().map(thread).collect()
}

/// The names of what the program needs, directly or not, but for Python and what only that needs.
fn linked() -> Option<Vec<String>> {
    let libraries = libraries::loaded(&Maps::read().ok()?).ok()?;
    let named = |name: &str| {
        let is_it = |one: &&Library| one.name == name || one.image.soname.as_deref() == Some(name);
        libraries.iter().find(is_it)
    };
    let mut known = HashSet::new();
    let mut next: Vec<&Library> = libraries.first().into_iter().collect();
    while let Some(library) = next.pop() {
        for name in &library.image.needed {
            let needed = named(name).filter(|one| !is_cpython(one));
            if let Some(needed) = needed
                && known.insert(name.clone())
            {
                next.push(needed);
            }
        }
    }
    Some(known.into_iter().collect())
}

/// The libraries whose code is on a stack.
fn run_by(stack: &Stack, libraries: &[&'static Ready]) -> Vec<&'static Ready> {
    let holds = |library: &&&'static Ready| {
        let mut addresses = stack.frames.iter().map(|frame| frame.lookup);
        addresses.any(|address| library.code.iter().any(|span| span.contains(address)))
    };
    libraries.iter().filter(holds).copied().collect()
}
