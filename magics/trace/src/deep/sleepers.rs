//! Threads that block the signal, so that they cannot be stopped: which of the libraries each of them runs.
//!
//! Such a thread is left running where its whole stack, up to the thread's first function, lies outside of the code that
//! will be changed: it belongs to another part of the program, as those do that serve sockets. This is found out before
//! any thread is stopped, since unwinding allocates.

use std::time::{Duration, Instant};

use diaphane_sight::libs;
use diaphane_sight::maps::Maps;
use diaphane_sight::stacks::{Stack, Unwinder, asleep};

use super::library::Ready;
use super::signal::handled;
use super::stop::Refused;
use super::tasks;

/// A thread that blocks the signal and sleeps.
#[derive(Debug)]
pub(super) struct Sleeper {
    pub(super) tid: i32,
    /// The libraries whose code it runs.
    pub(super) runs: Vec<&'static Ready>,
}

/// Between two looks at a thread that runs.
const LOOK: Duration = Duration::from_micros(200);

/// Looks at all threads that block the signal, and waits a little for those that run.
pub(super) fn sleepers(
    libraries: &[&'static Ready],
    patience: Duration,
) -> Result<Vec<Sleeper>, Refused> {
    let signal = handled().ok_or(Refused::Signal)?;
    let own = rustix::thread::gettid().as_raw_nonzero().get();
    let mut blocking = Vec::new();
    let blocks = |tid| tasks::status(tid).is_some_and(|status| status.blocks(signal));
    tasks::each(|tid| {
        if tid != own && blocks(tid) {
            blocking.push(tid);
        }
    })
    .ok_or(Refused::Threads)?;
    if blocking.is_empty() {
        return Ok(Vec::new());
    }
    let maps = Maps::query().map_err(|_| Refused::Threads)?;
    let loaded = libs::loaded(&maps).map_err(|_| Refused::Threads)?;
    let mut unwinder = Unwinder::new(&loaded);
    let deadline = Instant::now() + patience;
    let mut found = Vec::new();
    for tid in blocking {
        // One that takes the signal by now, or is gone, was beginning.
        while blocks(tid) {
            if let Some(stack) = asleep(tid, &maps, &mut unwinder) {
                let runs = run_by(&stack, libraries);
                if !runs.is_empty() || stack.complete {
                    found.push(Sleeper { tid, runs });
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

/// The libraries whose code is on a stack.
fn run_by(stack: &Stack, libraries: &[&'static Ready]) -> Vec<&'static Ready> {
    let holds = |library: &&&'static Ready| {
        let mut addresses = stack.frames.iter().map(|frame| frame.lookup);
        addresses.any(|address| library.code.iter().any(|span| span.contains(address)))
    };
    libraries.iter().filter(holds).copied().collect()
}
