//! Hooks in tables of pointers: for as long as they are placed, a pointer leads through a trampoline of the recorder.
//!
//! A pointer is one word at an aligned address, so it is replaced at once, whatever other threads do; nobody is stopped.
//! At the end each pointer that still leads to our trampoline gets its old value back. What somebody else wrote there in the
//! meantime is left alone, and so is the memory of a library that was unloaded.

pub mod got;

use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use diaphane_forks::{Handlers, Order, register};
use diaphane_sight::linker::link_map;
use diaphane_sight::linker::link_map::Counters;
use diaphane_sight::proc::maps::Maps;
use diaphane_sight::proc::spans;

use crate::closed_pages::{self, ClosedPage};
use crate::recorder;
use crate::trampolines::{Wanted, trampolines};

/// A pointer that is to be hooked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Site {
    /// Where it lies.
    pub address: usize,
    /// What it holds: the address of a function.
    pub target: usize,
    /// The bias of the library whose memory it is; `None` if the caller keeps the memory alive.
    pub library: Option<usize>,
    /// Whether the arguments are kept that `recorder::argument_capture` knows of.
    pub words: bool,
}

/// A pointer that is hooked.
#[derive(Debug, Clone, Copy)]
struct Placed {
    site: Site,
    trampoline: usize,
}

/// Hooks with all that can be known before they are placed, so that they can be placed often.
#[derive(Debug, Default)]
pub struct PreparedGotHooks {
    all: Vec<Placed>,
    /// Pages that the linker closed after it had filled them.
    closed: Vec<ClosedPage>,
    counters: Counters,
}

/// Why no hook was placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GotHooksRefused {
    /// There is no recorder for it.
    #[error("calls can be hooked on x86-64 only")]
    Processor,
    /// The system forbids what hooks need.
    #[error("the system gives no memory for new machine code")]
    Memory,
    /// The kernel could not be asked.
    #[error("/proc/self/maps cannot be read")]
    Maps,
}

impl PreparedGotHooks {
    /// Makes the trampolines.
    pub fn new(sites: &[Site]) -> Result<Self, GotHooksRefused> {
        if !recorder::can_be_hooked() {
            return Err(GotHooksRefused::Processor);
        }
        let wanted: Vec<Wanted> = sites.iter().map(Site::wanted).collect();
        let trampolines = trampolines(&wanted).ok_or(GotHooksRefused::Memory)?;
        Self::leading(sites.iter().copied().zip(trampolines))
    }

    /// With the pieces of code that the pointers are to lead to.
    pub(crate) fn leading(
        sites: impl Iterator<Item = (Site, usize)>,
    ) -> Result<Self, GotHooksRefused> {
        let counters = link_map::counters();
        let all: Vec<Placed> = sites
            .map(|(site, trampoline)| Placed { site, trampoline })
            .collect();
        let maps = Maps::read().map_err(|_| GotHooksRefused::Maps)?;
        Ok(Self {
            closed: closed_pages::closed(all.iter().map(|one| one.site.address), &maps),
            all,
            counters,
        })
    }

    /// Where the pointers lie.
    pub fn addresses(&self) -> impl Iterator<Item = usize> {
        self.all.iter().map(|one| one.site.address)
    }

    /// How many pointers there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Runs something while the pages can be written, and closes them again.
    fn with_open_pages(&self, run: impl FnOnce()) {
        for page in &self.closed {
            page.open();
        }
        run();
        for page in &self.closed {
            page.close();
        }
    }

    /// Puts back what still leads to our code. A library may have been unloaded, and its memory be gone or another's: the
    /// linker cannot be asked here, so each word is asked for through the kernel. Nothing is allocated.
    fn undo_what_is_there(&self) {
        let is_ours = |one: &&Placed| spans::word(one.site.address) == Some(one.trampoline);
        for page in &self.closed {
            let in_page = |one: &&Placed| page.contains(one.site.address);
            let mut here = self.all.iter().filter(in_page).filter(is_ours).peekable();
            if here.peek().is_some() {
                page.open();
                here.for_each(Placed::undo);
                page.close();
            }
        }
        // Those of closed pages are undone by now.
        self.all.iter().filter(is_ours).for_each(Placed::undo);
    }

    /// Runs something on the pointers whose memory is there, while no library can be unloaded.
    fn on_loaded(&self, run: impl Fn(&Placed)) {
        link_map::while_nothing_unloads(|| {
            if link_map::counters().unloads == self.counters.unloads {
                self.with_open_pages(|| self.all.iter().for_each(run));
                return;
            }
            let loaded = link_map::biases();
            let is_there =
                |one: &&Placed| one.site.library.is_none_or(|bias| loaded.contains(&bias));
            self.with_open_pages(|| self.all.iter().filter(is_there).for_each(run));
        });
    }
}

/// Hooks that are placed; they go when this is dropped.
#[derive(Debug)]
#[must_use]
pub struct Hooks {
    /// Each set with its place among those that a fork's child knows.
    placed: Vec<(Arc<PreparedGotHooks>, &'static AtomicPtr<PreparedGotHooks>)>,
}

/// How many sets of hooks there can be at once.
const SETS: usize = 256;
/// What a fork's child has to put back.
static PUBLISHED: [AtomicPtr<PreparedGotHooks>; SETS] =
    [const { AtomicPtr::new(ptr::null_mut()) }; SETS];

impl Hooks {
    /// Places hooks. Pointers that changed meanwhile are left out.
    pub fn place(prepared: Arc<PreparedGotHooks>) -> Self {
        undo_in_children();
        let mut hooks = Self { placed: Vec::new() };
        hooks.extend(prepared);
        hooks
    }

    /// Places further hooks, for example of libraries that were loaded since; says whether there was room for them.
    pub fn extend(&mut self, prepared: Arc<PreparedGotHooks>) -> bool {
        // A child must know them before they are there.
        let pointer = Arc::as_ptr(&prepared).cast_mut();
        let free = |place: &&AtomicPtr<PreparedGotHooks>| {
            let (success, failure) = (Ordering::AcqRel, Ordering::Relaxed);
            let null = ptr::null_mut();
            place
                .compare_exchange(null, pointer, success, failure)
                .is_ok()
        };
        let Some(place) = PUBLISHED.iter().find(free) else {
            return false;
        };
        prepared.on_loaded(Placed::set);
        self.placed.push((prepared, place));
        true
    }
}

impl Drop for Hooks {
    fn drop(&mut self) {
        for (prepared, place) in self.placed.drain(..).rev() {
            prepared.on_loaded(Placed::undo);
            place.store(ptr::null_mut(), Ordering::Release);
        }
    }
}

impl Site {
    fn wanted(&self) -> Wanted {
        Wanted {
            target: self.target,
            words: self.words,
        }
    }
}

impl Placed {
    fn set(&self) {
        self.replace(self.site.target, self.trampoline);
    }

    fn undo(&self) {
        self.replace(self.trampoline, self.site.target);
    }

    #[allow(unsafe_code, reason = "a pointer in a table is written at once")]
    fn replace(&self, from: usize, to: usize) {
        let place = self.site.address as *mut usize;
        // SAFETY: the word is aligned and mapped: its library is loaded, or the caller of `place` keeps it alive; its page
        // was opened for writing if it was closed.
        let place = unsafe { AtomicUsize::from_ptr(place) };
        let _ = place.compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed);
    }
}

/// A child of a fork gets its pointers back at once: nobody there will read the recording.
fn undo_in_children() {
    static HANDLERS: Handlers = Handlers {
        before: || {},
        parent: || {},
        child: undo_after_fork,
    };
    register(Order::GotHooks, &HANDLERS);
}

#[allow(unsafe_code, reason = "the hooks are published by pointers")]
fn undo_after_fork() {
    recorder::forget_after_fork();
    for place in PUBLISHED.iter().rev() {
        let prepared = place.swap(ptr::null_mut(), Ordering::AcqRel);
        // SAFETY: it is null, or was published when the process was copied; nobody frees it here.
        if let Some(prepared) = unsafe { prepared.as_ref() } {
            prepared.undo_what_is_there();
        }
    }
}
