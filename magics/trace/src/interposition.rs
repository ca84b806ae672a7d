//! Functions of ours in the place of the C library's, for everybody who calls them by their names.
//!
//! The dynamic linker finds a function in the C library's own table of names, and there the value of the name is changed
//! in memory: so ours is found by every library that is loaded later, by calls that are bound later, and by who asks
//! `dlsym`, wherever it looks. What was bound before has the address in a slot of its own, and gets ours there. Code that
//! keeps the address elsewhere, and the C library's own calls, go on as before.

use std::ffi::CString;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

use diaphane_sight::code::got_entries::of_image;
use diaphane_sight::linker::link_map::{Entry, entries};
use diaphane_sight::proc::maps::Maps;

use crate::closed_pages::{ClosedPage, closed};

/// A name and what stands in for it.
#[derive(Debug, Clone, Copy)]
pub struct StandIn {
    /// The name of a function of the C library.
    pub name: &'static str,
    /// The address of a function of the same type, which lives as long as the process.
    pub ours: usize,
}

/// Why nothing stands in for a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotInterposed {
    /// It is another C library, or one without the usual table.
    #[error("the C library has no table of names with it")]
    Unknown,
    /// The system refuses.
    #[error("the C library's table of names cannot be written")]
    Denied,
}

/// The function that the C library has for a name, which our own calls go to.
#[must_use]
#[allow(unsafe_code, reason = "dlsym has no safe interface")]
pub fn original(name: &str) -> Option<usize> {
    let name = CString::new(name).ok()?;
    // SAFETY: the name ends with a zero.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    (!found.is_null()).then(|| found.expose_provenance())
}

/// A name that leads elsewhere from now on, and the function of the C library's behind it.
struct Change {
    name: &'static str,
    function: usize,
    from: usize,
    to: usize,
}

/// Functions of ours that stand in the place of the C library's.
#[must_use = "it is how they are taken away again"]
pub struct Interposed(Vec<(StandIn, usize)>);

/// Puts functions in the place of the C library's.
///
/// # Safety
///
/// Each function does what the C library's of that name does, for every caller, for as long as the process lives.
///
/// # Errors
///
/// Where the table is not found or cannot be written; then nothing was changed.
#[allow(unsafe_code, reason = "every caller of a C function is led elsewhere")]
pub unsafe fn interpose(all: &[StandIn]) -> Result<Interposed, NotInterposed> {
    let mut done = Vec::new();
    for &stand_in in all {
        let original = original(stand_in.name).ok_or(NotInterposed::Unknown)?;
        if original != stand_in.ours {
            done.push((stand_in, original));
        }
    }
    let changes = done.iter().map(|&(stand_in, original)| Change {
        name: stand_in.name,
        function: original,
        from: original,
        to: stand_in.ours,
    });
    apply(&changes.collect::<Vec<_>>())?;
    Ok(Interposed(done))
}

impl Interposed {
    /// Gives the names back to the C library. Code that has kept our addresses goes on to call them.
    ///
    /// # Errors
    ///
    /// Where the table cannot be written any more; then our functions stay.
    pub fn undo(self) -> Result<(), NotInterposed> {
        let changes = self.0.iter().map(|&(stand_in, original)| Change {
            name: stand_in.name,
            function: original,
            from: stand_in.ours,
            to: original,
        });
        apply(&changes.collect::<Vec<_>>())
    }
}

fn apply(changes: &[Change]) -> Result<(), NotInterposed> {
    let loaded = entries();
    let mut words = Vec::new();
    for change in changes {
        words.extend(names(change, &loaded).ok_or(NotInterposed::Unknown)?);
    }
    for slot in loaded.iter().flat_map(|entry| of_image(&entry.image)) {
        let bound = |one: &&Change| one.name == slot.name && one.from == slot.value;
        let bound = changes.iter().find(bound);
        words.extend(bound.map(|change| (slot.address, change.to)));
    }
    write(&words)
}

/// The words that give the values of a name, and what they are to be.
fn names(change: &Change, loaded: &[Entry]) -> Option<Vec<(usize, usize)>> {
    let has_it = |entry: &&Entry| entry.image.span().contains(change.function);
    let image = &loaded.iter().find(has_it)?.image;
    let value = change.to.wrapping_sub(image.bias());
    let values = image.values(change.name, change.from);
    (!values.is_empty()).then(|| values.into_iter().map(|at| (at, value)).collect())
}

/// Writes all words, or none where one cannot be written.
#[allow(unsafe_code, reason = "the linker's tables are written in memory")]
fn write(words: &[(usize, usize)]) -> Result<(), NotInterposed> {
    let maps = Maps::read().map_err(|_| NotInterposed::Unknown)?;
    let pages = closed(words.iter().map(|(address, _)| *address), &maps);
    let are_open = pages.iter().all(ClosedPage::open);
    if are_open {
        for &(address, value) in words {
            let place = ptr::with_exposed_provenance_mut(address);
            // SAFETY: an aligned word of a loaded image's tables, on a page that is open; the linker reads it at once.
            unsafe { AtomicUsize::from_ptr(place) }.store(value, Ordering::Release);
        }
    }
    pages.iter().for_each(ClosedPage::close);
    are_open.then_some(()).ok_or(NotInterposed::Denied)
}
