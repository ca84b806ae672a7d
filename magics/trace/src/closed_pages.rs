//! Pages that cannot be written: the linker closes the tables of a library that asks for it, once they are filled
//! (RELRO). They are opened for a moment, and closed again.

use diaphane_sight::proc::maps::Maps;
use rustix::mm::{MprotectFlags, mprotect};

/// A page with its rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClosedPage {
    start: usize,
    length: usize,
    rights: MprotectFlags,
}

/// The pages of words that cannot be written, each once.
pub(crate) fn closed(addresses: impl Iterator<Item = usize>, maps: &Maps) -> Vec<ClosedPage> {
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
        (!perms.contains('w')).then_some(ClosedPage {
            start,
            length: size,
            rights,
        })
    };
    pages.into_iter().filter_map(closed).collect()
}

impl ClosedPage {
    pub(crate) fn contains(&self, address: usize) -> bool {
        (self.start..self.start + self.length).contains(&address)
    }

    /// Whether it can be written now.
    pub(crate) fn open(&self) -> bool {
        self.set(self.rights | MprotectFlags::WRITE)
    }

    pub(crate) fn close(&self) {
        let _ = self.set(self.rights);
    }

    #[allow(unsafe_code, reason = "the rights of pages are changed")]
    fn set(&self, rights: MprotectFlags) -> bool {
        // SAFETY: the page holds a table of a library that is loaded; its content stays, and it can be read at any time.
        unsafe { mprotect(self.start as *mut _, self.length, rights) }.is_ok()
    }
}
