//! The structures that the dynamic linker shares with debuggers: which images there are, and whether the list is about
//! to change (`r_debug` and `link_map` of the C library's `link.h`).

use std::ffi::{CStr, c_char};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The state of a list.
pub(super) const CONSISTENT: i32 = 0;
pub(super) const ADDING: i32 = 1;

/// One list of images; those of `dlmopen` follow the first.
#[repr(C)]
pub(super) struct Debug {
    version: i32,
    map: *const Map,
    pub brk: usize,
    state: i32,
    base: usize,
    /// Only there from version 2 on.
    next: *const Debug,
}

/// One image.
#[repr(C)]
pub(super) struct Map {
    pub bias: usize,
    name: *const c_char,
    pub dynamic: *mut Dynamic,
    next: *const Map,
}

/// One entry of an image's dynamic section.
#[repr(C)]
pub(super) struct Dynamic {
    pub tag: usize,
    pub value: usize,
}

pub(super) const DT_INIT: usize = 12;
pub(super) const DT_INIT_ARRAY: usize = 25;
pub(super) const DT_INIT_ARRAYSZ: usize = 27;

/// Where the linker's structure lies, once it was asked for.
static ROOT: AtomicUsize = AtomicUsize::new(0);

/// Asks the C library for the linker's structure by its name.
#[allow(
    unsafe_code,
    reason = "the linker's own structure is asked for by name"
)]
pub(super) fn find() -> Option<&'static Debug> {
    // SAFETY: a name that ends with NUL; the handle stands for all libraries.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"_r_debug".as_ptr()) };
    ROOT.store(found.addr(), Ordering::Release);
    known()
}

/// The linker's structure, if it was found before.
#[allow(unsafe_code, reason = "the linker's own structure is read")]
pub(super) fn known() -> Option<&'static Debug> {
    // SAFETY: the name belongs to a structure of this form by the linker's interface for debuggers, and stays with the
    // linker.
    unsafe { (ROOT.load(Ordering::Acquire) as *const Debug).as_ref() }
}

impl Debug {
    /// The lists from this one on.
    #[allow(unsafe_code, reason = "the linker's lists are read")]
    pub fn lists(&'static self) -> impl Iterator<Item = &'static Debug> {
        std::iter::successors(Some(self), |list| {
            // SAFETY: the linker keeps the number where this pointer points; it changes while we hold the linker's lock
            // or are called by it.
            let version = unsafe { (&raw const list.version).read_volatile() };
            if version < 2 {
                return None;
            }
            // SAFETY: from version 2 on there is such a pointer, to a structure that is never freed.
            unsafe { (&raw const list.next).read_volatile().as_ref() }
        })
    }

    /// Whether it is about to change.
    #[allow(unsafe_code, reason = "the linker's lists are read")]
    pub fn state(&self) -> i32 {
        // SAFETY: as in `lists`; other threads write it with the linker's lock.
        unsafe { (&raw const self.state).read_volatile() }
    }

    /// Whether an image is in one of the lists, by the addresses of its description and of its dynamic section.
    pub fn holds(&'static self, map: usize, dynamic: usize) -> bool {
        let mut all = self.lists().flat_map(Debug::maps);
        all.any(|one| (&raw const *one).addr() == map && one.dynamic.addr() == dynamic)
    }

    /// Its images.
    #[allow(unsafe_code, reason = "the linker's lists are read")]
    pub fn maps(&self) -> impl Iterator<Item = &'static Map> {
        // SAFETY: as above; an image of the list lives until the linker, whose lock is held, removes it.
        let first = unsafe { (&raw const self.map).read_volatile().as_ref::<'static>() };
        std::iter::successors(first, |map| map.next())
    }
}

impl Map {
    /// The image behind this one.
    #[allow(unsafe_code, reason = "the linker's lists are read")]
    pub fn next(&self) -> Option<&'static Map> {
        // SAFETY: as in `Debug::maps`.
        unsafe { (&raw const self.next).read_volatile().as_ref() }
    }

    /// The path by which it was loaded.
    #[allow(unsafe_code, reason = "the linker's lists are read")]
    pub fn name(&self) -> &[u8] {
        if self.name.is_null() {
            return b"";
        }
        // SAFETY: the linker's names end with NUL and live as long as their image.
        unsafe { CStr::from_ptr(self.name) }.to_bytes()
    }

    /// The entry of its dynamic section with a tag.
    #[allow(unsafe_code, reason = "the linker's lists are read")]
    pub fn entry(&self, wanted: usize) -> Option<*mut Dynamic> {
        let mut entry = self.dynamic;
        while !entry.is_null() {
            // SAFETY: the section is mapped with its image and ends with an entry whose tag is 0.
            let tag = unsafe { (&raw const (*entry).tag).read_volatile() };
            match tag {
                0 => return None,
                _ if tag == wanted => return Some(entry),
                _ => entry = entry.wrapping_add(1),
            }
        }
        None
    }

    /// The value of the entry with a tag.
    #[allow(unsafe_code, reason = "the linker's lists are read")]
    pub fn value(&self, wanted: usize) -> Option<usize> {
        let entry = self.entry(wanted)?;
        // SAFETY: it was just found in the mapped section.
        Some(unsafe { (&raw const (*entry).value).read_volatile() })
    }
}
