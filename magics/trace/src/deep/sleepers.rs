//! Threads that block the signal, so that they cannot be stopped: which of the libraries each of them runs.
//!
//! Such a thread is left running where its whole stack, up to the thread's first function, lies outside of the code that
//! will be changed: it belongs to another part of the program, as those do that serve sockets. This is found out before
//! any thread is stopped, since unwinding allocates.

use std::time::{Duration, Instant};

use diaphane_sight::libs;
use diaphane_sight::maps::Maps;
use diaphane_sight::stacks::{Unwinder, asleep};

use super::List;
use super::stop::Refused;
use super::tasks;

/// The threads that block the signal and sleep, each with the place of a library whose code it runs.
pub(super) type Sleepers = Vec<(i32, Option<usize>)>;

/// Between two looks at a thread that runs.
const LOOK: Duration = Duration::from_micros(200);

/// Looks at all threads that block the signal, and waits a little for those that run.
pub(super) fn sleepers(
    libraries: List,
    signal: i32,
    patience: Duration,
) -> Result<Sleepers, Refused> {
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
                let addresses = stack.frames.iter().map(|frame| frame.lookup);
                let library = addresses
                    .filter_map(|address| holds(libraries, address))
                    .next();
                if library.is_some() || stack.complete {
                    found.push((tid, library));
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

/// The place of the library whose code an address lies in.
fn holds(libraries: List, address: usize) -> Option<usize> {
    let inside = |span: &diaphane_sight::spans::Span| span.contains(address);
    libraries
        .iter()
        .position(|library| library.code.iter().any(inside))
}
