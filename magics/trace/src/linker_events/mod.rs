//! What the dynamic linker does while something runs: which libraries it maps, in which order, for whom, how long that
//! takes, and how long their initialisers run.
//!
//! The linker calls an empty function before and after it changes its list, so that a debugger can stop there. We stand
//! there instead, in the process, and copy what is new. All entries are in one order, those of the caller too.

mod brk;
mod debug;
mod dlopen_calls;
mod event_buffer;
mod initialisers;
mod list;

use std::sync::atomic::{AtomicBool, Ordering};

use diaphane_forks::{Handlers, Order, ProcessLock, register};
use diaphane_sight::linker::libraries::Library;
use diaphane_sight::linker::link_map;

use crate::clock::{Moment, Scale};
use crate::got_hooks::Hooks;
use crate::linker_events::event_buffer::{Entry, Kind};
use brk::BrkPatch;
use debug::{ADDING, CONSISTENT, Map};
use list::Change;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkerEvent {
    /// Nanoseconds since the beginning.
    pub at: u64,
    /// The thread.
    pub tid: i32,
    /// What it was.
    pub what: What,
}

/// What can happen. Libraries are told apart by the address of the linker's description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Somebody called `dlopen`.
    Asked {
        /// The path or name; `None` asks for the program itself.
        path: Option<String>,
        /// The flags of the call.
        flags: u32,
        /// The address that the call returns to.
        back: usize,
    },
    /// Somebody called `dlclose`.
    Closing,
    /// The first file was found and is about to be mapped.
    Adding,
    /// Libraries are about to be removed, after `dlclose` or because a library that is needed was not found.
    Removing,
    /// The list is complete again. New libraries are mapped and not initialised; glibc has bound them from 2.41 on, unless
    /// they are about to be removed since one that they need is missing.
    Settled,
    /// A library was mapped.
    Mapped {
        /// Its description.
        map: usize,
        /// The distance from the addresses in its file to those in memory.
        bias: usize,
        /// The path by which it was found.
        name: String,
        /// Whether its initialisers are timed.
        timed: bool,
    },
    /// A library was removed.
    Unmapped {
        /// Its description.
        map: usize,
    },
    /// Initialisers of a library begin.
    Initialising {
        /// Its description.
        map: usize,
    },
    /// They have returned.
    Initialised {
        /// Its description.
        map: usize,
    },
    /// The caller noted something of its own.
    Noted(usize),
}

/// Why loads cannot be seen where they happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkerEventsRefused {
    /// There is one event buffer.
    #[error("the loads of other code are being traced")]
    Busy,
    /// The jump is written for one kind of processor.
    #[error("the dynamic linker can be hooked on x86-64 only")]
    Processor,
    /// A debugger uses the same place.
    #[error("a debugger has a breakpoint where the dynamic linker reports its changes")]
    Debugger,
    /// The function has other content than it should.
    #[error("the dynamic linker's function for debuggers is not the empty one that is known")]
    Unknown,
    /// It cannot be read, or is not there.
    #[error("the dynamic linker's interface for debuggers cannot be read")]
    Unreadable,
    /// The system forbids what hooks need.
    #[error("the system forbids changes of machine code")]
    Memory,
    /// The kernel lacks a call.
    #[error("Linux has no membarrier here")]
    Barrier,
}

/// What was seen.
#[derive(Debug, Clone, Default)]
pub struct LinkerEventsRecording {
    /// All events, in their order.
    pub events: Vec<LinkerEvent>,
    /// How many found no room.
    pub lost: usize,
    /// From the beginning to the end, in nanoseconds.
    pub lasted: u64,
    /// How many places that call `dlopen` were hooked; `None` if none could be.
    pub callers: Option<usize>,
}

/// A recording that runs; it ends when this is dropped.
#[derive(Debug)]
#[must_use]
pub struct RunningLinkerEvents {
    began: Moment,
    hooks: Option<(Hooks, usize)>,
}

static TAKEN: AtomicBool = AtomicBool::new(false);
static ACTIVE: AtomicBool = AtomicBool::new(false);
/// Whether libraries may have been removed since the list was compared last.
static REMOVED: AtomicBool = AtomicBool::new(false);
static PLACED: ProcessLock<Option<BrkPatch>> = ProcessLock::new(|| None);

/// Begins. The libraries are those that are loaded.
pub fn begin(libraries: &[Library]) -> Result<RunningLinkerEvents, LinkerEventsRefused> {
    if !crate::arch::patching::PATCHED {
        return Err(LinkerEventsRefused::Processor);
    }
    let root = debug::find().ok_or(LinkerEventsRefused::Unreadable)?;
    if TAKEN.swap(true, Ordering::AcqRel) {
        return Err(LinkerEventsRefused::Busy);
    }
    undo_in_children();
    let patch = BrkPatch::prepare(root.brk, (changed as *const ()).addr());
    let patch = patch.inspect_err(|_| TAKEN.store(false, Ordering::Release))?;
    initialisers::prepare();
    event_buffer::clear();
    event_buffer::thread();
    // Until the jump is there, libraries come and go unseen.
    REMOVED.store(true, Ordering::Relaxed);
    link_map::while_nothing_unloads(|| list::compare(root, |_| {}));
    let hooks = dlopen_calls::hook(libraries);
    let running = RunningLinkerEvents {
        began: Moment::now(),
        hooks,
    };
    ACTIVE.store(true, Ordering::Release);
    *PLACED.lock() = Some(patch);
    patch.place()?;
    Ok(running)
}

/// Whether somebody records.
pub(crate) fn is_active() -> bool {
    ACTIVE.load(Ordering::Acquire)
}

/// Writes a number of the caller's own between the linker's events.
pub fn note(number: usize) {
    if is_active() {
        event_buffer::write(Kind::Noted, [number, 0], b"");
    }
}

impl RunningLinkerEvents {
    /// Ends it.
    pub fn end(mut self) -> LinkerEventsRecording {
        let callers = self.stop();
        let ended = Moment::now();
        let scale = Scale::between(self.began, ended);
        let since = |ticks: u64| scale.nanoseconds(ticks.saturating_sub(self.began.ticks));
        let (entries, lost) = event_buffer::take();
        let event = |entry: Entry| LinkerEvent {
            at: since(entry.ticks),
            tid: entry.tid,
            what: What::of(entry),
        };
        LinkerEventsRecording {
            events: entries.into_iter().map(event).collect(),
            lost,
            lasted: since(ended.ticks),
            callers,
        }
    }

    /// Undoes everything, once.
    fn stop(&mut self) -> Option<usize> {
        ACTIVE.store(false, Ordering::Release);
        let patch = PLACED.lock().take();
        if let Some(patch) = patch {
            patch.undo();
            initialisers::undo();
        }
        self.hooks.take().map(|(_, count)| count)
    }
}

impl Drop for RunningLinkerEvents {
    fn drop(&mut self) {
        self.stop();
        TAKEN.store(false, Ordering::Release);
    }
}

impl What {
    fn of(entry: Entry) -> Self {
        let [map, second] = entry.values;
        let text = || String::from_utf8_lossy(&entry.text).into_owned();
        match entry.kind {
            Kind::Asked => Self::Asked {
                path: (!dlopen_calls::is_for_itself(map)).then(text),
                flags: map as u32,
                back: second,
            },
            Kind::Adding => Self::Adding,
            Kind::Removing => Self::Removing,
            Kind::Settled => Self::Settled,
            Kind::Mapped => Self::Mapped {
                map,
                bias: second & !1,
                name: text(),
                timed: second & 1 == 1,
            },
            Kind::Unmapped => Self::Unmapped { map },
            Kind::Initialising => Self::Initialising { map },
            Kind::Initialised => Self::Initialised { map },
            Kind::Noted => Self::Noted(map),
            Kind::Closing => Self::Closing,
        }
    }
}

/// Called by the dynamic linker, which holds its lock of loading: nobody else is here.
extern "C" fn changed() {
    let (true, Some(root)) = (is_active(), debug::known()) else {
        return;
    };
    let mut states = root.lists().map(debug::Debug::state);
    let state = states.find(|state| *state != CONSISTENT);
    let kind = match state {
        None => Kind::Settled,
        Some(ADDING) => Kind::Adding,
        Some(_) => Kind::Removing,
    };
    event_buffer::write(kind, [0, 0], b"");
    let is_new = kind == Kind::Settled;
    if kind == Kind::Adding {
        return;
    }
    // What is described behind the image that was the last one is new, unless one was removed meanwhile.
    let was_removed = REMOVED.swap(kind == Kind::Removing, Ordering::Relaxed);
    if was_removed || !list::append(root, |map| came(map, is_new)) {
        list::compare(root, |change| match change {
            Change::Came(map) => came(map, is_new),
            Change::Went(map) => {
                event_buffer::write(Kind::Unmapped, [map, 0], b"");
                initialisers::forget(map);
            }
        });
    }
}

fn came(map: &Map, is_new: bool) {
    let timed = is_new && initialisers::watch(map);
    let address = (&raw const *map).addr();
    event_buffer::write(
        Kind::Mapped,
        [address, map.bias | usize::from(timed)],
        map.name(),
    );
}

/// A child of a fork gets its linker back at once: nobody there will read the recording.
fn undo_in_children() {
    static HANDLERS: Handlers = Handlers {
        before: || PLACED.hold(),
        parent: release,
        child: || {
            ACTIVE.store(false, Ordering::Release);
            release();
            if let Some(patch) = PLACED.lock().take() {
                patch.undo();
            }
        },
    };
    register(Order::LinkerEvents, &HANDLERS);
}

#[allow(unsafe_code, reason = "a lock is held across a fork")]
fn release() {
    // SAFETY: taken before the fork by this thread, the only one of a child.
    unsafe { PLACED.release() };
}
