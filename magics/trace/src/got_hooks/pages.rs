//! Pages that cannot be written: the linker closes the tables of a library that asks for it, once they are filled
//! (RELRO). They are opened for a moment, and closed again.

use diaphane_sight::proc::maps::Maps;
use rustix::mm::{MprotectFlags, mprotect};

/// A page with its rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Closed {
    start: usize,
    length: usize,
    rights: MprotectFlags,
}

/// The pages of words that cannot be written, each once.
pub(super) fn closed(addresses: impl Iterator<Item = usize>, maps: &Maps) -> Vec<Closed> {
    let size = rustix::param::page_size();
    let mut pages: Vec<usize> = addresses.map(|address| address / size * size).collect();
    pages.sort_unstable();
    pages.dedup();
    let closed = |start: usize| {
        let perms = &maps.find(start)?.perms;
        let right = |letter, flag| {
            if perms.contains(letter) {
                flag
            } else {
                MprotectFlags::empty()
            }
        };
        let rights = right('r', MprotectFlags::READ) | right('x', MprotectFlags::EXEC);
        (!perms.contains('w')).then_some(Closed {
            start,
            length: size,
            rights,
        })
    };
    pages.into_iter().filter_map(closed).collect()
}

impl Closed {
    pub(super) fn contains(&self, address: usize) -> bool {
        (self.start..self.start + self.length).contains(&address)
    }

    pub(super) fn open(&self) {
        self.set(self.rights | MprotectFlags::WRITE);
    }

    pub(super) fn close(&self) {
        self.set(self.rights);
    }

    #[allow(unsafe_code, reason = "the rights of pages are changed")]
    fn set(&self, rights: MprotectFlags) {
        // SAFETY: the page holds a table of a library that is loaded; its content stays, and it can be read at any time.
        let _ = unsafe { mprotect(self.start as *mut _, self.length, rights) };
    }
}
