//! Hooks in tables of pointers: for as long as they are placed, a pointer leads through a stub of the recorder.
//!
//! A pointer is one word at an aligned address, so it is replaced at once, whatever other threads do; nobody is stopped.
//! At the end each pointer that still leads to our stub gets its old value back. What somebody else wrote there in the
//! meantime is left alone, and so is the memory of a library that was unloaded.

pub mod got;
mod pages;

use std::collections::HashSet;
use std::ptr;
use std::sync::Once;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use diaphane_sight::linker::{self, Counters};
use diaphane_sight::maps::Maps;

use crate::recorder;
use crate::stubs::{Wanted, stubs};
use pages::Closed;

/// A pointer that is to be hooked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Site {
    /// Where it lies.
    pub address: usize,
    /// What it holds: the address of a function.
    pub target: usize,
    /// The bias of the library whose memory it is; `None` if the caller keeps the memory alive.
    pub library: Option<usize>,
    /// Whether the arguments are kept that `recorder::words` knows of.
    pub words: bool,
}

/// A pointer that is hooked.
#[derive(Debug, Clone, Copy)]
struct Placed {
    site: Site,
    stub: usize,
}

/// What is hooked, and what was made writable for it; published as a whole, for the child of a fork.
#[derive(Debug, Default, Clone)]
struct Table {
    placed: Vec<Placed>,
    /// Pages that the linker closed after it had filled them.
    closed: Vec<Closed>,
}

/// Why no hook was placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
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

/// Hooks that are placed; they go when this is dropped.
#[derive(Debug)]
#[must_use]
pub struct Hooks {
    table: *mut Table,
    counters: Counters,
}

/// What a fork's child has to put back.
static PUBLISHED: AtomicPtr<Table> = AtomicPtr::new(ptr::null_mut());
static FORKS: Once = Once::new();

impl Hooks {
    /// Places hooks. Pointers that changed meanwhile are left out.
    pub fn place(sites: &[Site]) -> Result<Self, Refused> {
        if !recorder::can_be_hooked() {
            return Err(Refused::Processor);
        }
        FORKS.call_once(undo_in_children);
        let mut hooks = Self {
            table: Box::into_raw(Box::default()),
            counters: linker::counters(),
        };
        hooks.extend(sites)?;
        Ok(hooks)
    }

    /// Places further hooks, for example of libraries that were loaded since.
    #[allow(unsafe_code, reason = "the table is shared with the child of a fork")]
    pub fn extend(&mut self, sites: &[Site]) -> Result<(), Refused> {
        let wanted: Vec<Wanted> = sites.iter().map(Site::wanted).collect();
        let stubs = stubs(&wanted).ok_or(Refused::Memory)?;
        let maps = Maps::read().map_err(|_| Refused::Maps)?;
        // SAFETY: only this thread writes the table, and it is freed by `drop` alone.
        let mut table = unsafe { &*self.table }.clone();
        let first = table.placed.len();
        let placed = sites.iter().zip(stubs);
        table
            .placed
            .extend(placed.map(|(&site, stub)| Placed { site, stub }));
        table.closed.extend(pages::closed(sites, &maps));
        let old = std::mem::replace(&mut self.table, Box::into_raw(Box::new(table)));
        PUBLISHED.store(self.table, Ordering::Release);
        // SAFETY: it came from `Box::into_raw`, and is no longer published. A child of a fork has a copy of its own.
        drop(unsafe { Box::from_raw(old) });
        // SAFETY: as above.
        let table = unsafe { &*self.table };
        while_all_are_loaded(self.counters, &table.placed[first..], |placed| {
            table.with_open_pages(|| placed.iter().for_each(|one| one.set()));
        });
        Ok(())
    }

    /// Where the hooked pointers lie.
    #[must_use]
    #[allow(unsafe_code, reason = "the table is shared with the child of a fork")]
    pub fn addresses(&self) -> HashSet<usize> {
        // SAFETY: it is freed by `drop` alone.
        let placed = &unsafe { &*self.table }.placed;
        placed.iter().map(|one| one.site.address).collect()
    }

    /// How many pointers are hooked.
    #[must_use]
    #[allow(unsafe_code, reason = "the table is shared with the child of a fork")]
    pub fn count(&self) -> usize {
        // SAFETY: it is freed by `drop` alone.
        unsafe { &*self.table }.placed.len()
    }
}

impl Drop for Hooks {
    #[allow(unsafe_code, reason = "the table is shared with the child of a fork")]
    fn drop(&mut self) {
        // SAFETY: it is freed here alone.
        let table = unsafe { Box::from_raw(self.table) };
        while_all_are_loaded(self.counters, &table.placed, |placed| {
            table.with_open_pages(|| placed.iter().for_each(|one| one.undo()));
        });
        PUBLISHED.store(ptr::null_mut(), Ordering::Release);
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
        self.replace(self.site.target, self.stub);
    }

    fn undo(&self) {
        self.replace(self.stub, self.site.target);
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

impl Table {
    /// Runs something while the pages can be written, and closes them again.
    fn with_open_pages(&self, run: impl FnOnce()) {
        self.closed.iter().for_each(Closed::open);
        run();
        self.closed.iter().for_each(Closed::close);
    }
}

/// Runs something on the pointers whose memory is there, while no library can be unloaded.
fn while_all_are_loaded(then: Counters, placed: &[Placed], run: impl FnOnce(&[Placed])) {
    linker::while_nothing_unloads(|| {
        if linker::counters().unloads == then.unloads {
            run(placed);
            return;
        }
        let loaded = linker::biases();
        let is_there = |one: &&Placed| one.site.library.is_none_or(|bias| loaded.contains(&bias));
        let there: Vec<Placed> = placed.iter().filter(is_there).copied().collect();
        run(&there);
    });
}

/// A child of a fork gets its pointers back at once: nobody there will read the recording.
#[allow(unsafe_code, reason = "pthread_atfork takes C functions")]
fn undo_in_children() {
    // SAFETY: the handler has the right signature and allocates nothing.
    unsafe { libc::pthread_atfork(None, None, Some(undo_after_fork)) };
}

#[allow(unsafe_code, reason = "called by the C library in the child")]
unsafe extern "C" fn undo_after_fork() {
    let table = PUBLISHED.swap(ptr::null_mut(), Ordering::AcqRel);
    // SAFETY: it is null, or the table that was published when the process was copied, which nobody frees here.
    let Some(table) = (unsafe { table.as_ref() }) else {
        return;
    };
    recorder::forget_after_fork();
    table.with_open_pages(|| table.placed.iter().for_each(Placed::undo));
}
