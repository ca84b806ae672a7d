//! A window in which the code of libraries can be written, and the writing itself. It is open from before the first jump
//! is written until the last one is taken back.
//!
//! While the window is open, the code stays executable: a thread that could not be stopped may run other functions of the
//! same library.

use std::os::fd::AsFd;
use std::ptr;
use std::sync::atomic::{AtomicU8, Ordering};

use diaphane_sight::files;
use diaphane_sight::linker::libraries::Library;
use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mmap, mprotect, munmap};

use super::library::{Ready, Unfit};
use crate::arch::jumps::JUMP;
use crate::arch::patching::prefetch;
use crate::inline_hooks::moved_code::EntryPatch;

/// The numbers of `linux/membarrier.h`.
const SYNC_CORE: i32 = 1 << 5;
const REGISTER_SYNC_CORE: i32 = 1 << 6;

/// So many patches ahead, code is brought near.
const AHEAD: usize = 16;

/// Which bytes are to stand in the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    Jumps,
    Originals,
}

/// How much was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) done: usize,
    /// Places that held neither; they were left alone.
    pub(super) foreign: usize,
}

/// Whether the system lets code that was changed be run; tried on a page of the library's file that nobody uses.
#[allow(unsafe_code, reason = "mappings come from the system")]
pub(super) fn may_open(library: &Library) -> Result<(), Unfit> {
    let file = library
        .path
        .as_deref()
        .and_then(|path| files::open(path).ok());
    let file = file.ok_or(Unfit::File)?;
    let page = rustix::param::page_size();
    let rights = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: a new private mapping where the system likes it.
    let memory = unsafe {
        mmap(
            ptr::null_mut(),
            page,
            rights,
            MapFlags::PRIVATE,
            file.as_fd(),
            0,
        )
    };
    let memory = memory.map_err(|_| Unfit::File)?;
    // SAFETY: a file that was loaded has a first byte, and the mapping is private and writable.
    let first = unsafe { AtomicU8::from_ptr(memory.cast()) };
    first.fetch_add(1, Ordering::Relaxed);
    let all = MprotectFlags::READ | MprotectFlags::WRITE | MprotectFlags::EXEC;
    // SAFETY: it is our own mapping.
    let opened = unsafe { mprotect(memory, page, all) };
    // SAFETY: as above.
    let _ = unsafe { munmap(memory, page) };
    opened.map_err(|_| Unfit::Denied)
}

/// Opens the window; on failure it is closed again.
pub(super) fn open(libraries: &[&Ready]) -> Result<(), ()> {
    let opened = protect(libraries, MprotectFlags::WRITE);
    if opened.is_err() {
        let _ = close(libraries);
    }
    opened
}

/// Closes it.
pub(super) fn close(libraries: &[&Ready]) -> Result<(), ()> {
    protect(libraries, MprotectFlags::empty())
}

/// Gives the copies of pages back that were written to: what lies there now is what the file has, and is read from there
/// again. It costs the next recording a page fault each.
#[allow(unsafe_code, reason = "the memory of code is given back")]
pub(super) fn give_back(libraries: &[&Ready]) {
    let own = libraries.iter().filter(|library| library.is_as_in_file);
    for span in own.flat_map(|library| &library.code) {
        let start = ptr::with_exposed_provenance_mut(span.start);
        // SAFETY: the library is held, its pages are private ones of its file, and all that was written there is taken
        // back.
        let _ = unsafe { madvise(start, span.len(), Advice::LinuxDontNeed) };
    }
}

#[allow(unsafe_code, reason = "the rights of code are changed")]
fn protect(libraries: &[&Ready], more: MprotectFlags) -> Result<(), ()> {
    let mut outcome = Ok(());
    for span in libraries.iter().flat_map(|library| &library.code) {
        let start = ptr::with_exposed_provenance_mut(span.start);
        let rights = MprotectFlags::READ | MprotectFlags::EXEC | more;
        // SAFETY: the library is held, and its code can be read and run before and after.
        if unsafe { mprotect(start, span.len(), rights) }.is_err() {
            outcome = Err(());
        }
    }
    outcome
}

/// Makes the system copy the pages that will be written, and the processor read what lies there, so that no thread waits
/// for that later.
#[allow(unsafe_code, reason = "code is touched")]
pub(super) fn touch(libraries: &[&Ready]) {
    let page = rustix::param::page_size();
    let mut last = 0;
    for (patch, ahead) in with_next(libraries) {
        prefetch(ahead.at);
        for address in [patch.at, patch.at + JUMP - 1] {
            if address / page == last {
                continue;
            }
            last = address / page;
            // SAFETY: the window is open, and a byte stays what it is.
            let byte = unsafe { AtomicU8::from_ptr(ptr::with_exposed_provenance_mut(address)) };
            let now = byte.load(Ordering::Relaxed);
            let _ = byte.compare_exchange(now, now, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
}

/// Writes all patches. It takes no lock and allocates nothing.
pub(super) fn write(libraries: &[&Ready], want: Want) -> Written {
    let mut written = Written::default();
    for (patch, ahead) in with_next(libraries) {
        prefetch(ahead.at);
        match replace(patch, want) {
            Some(true) => written.done += 1,
            Some(false) => {}
            None => written.foreign += 1,
        }
    }
    written
}

/// Each patch, with one that comes soon.
fn with_next<'a>(
    libraries: &'a [&Ready],
) -> impl Iterator<Item = (&'a EntryPatch, &'a EntryPatch)> {
    libraries.iter().flat_map(|library| {
        let last = library.patches.last();
        let ahead = library
            .patches
            .iter()
            .skip(AHEAD)
            .chain(last.into_iter().cycle());
        library.patches.iter().zip(ahead)
    })
}

/// Makes all threads of the process forget code that they have read already; also those that were not stopped.
#[allow(unsafe_code, reason = "the C library has no function for it")]
pub(super) fn synchronize() {
    // SAFETY: it takes no memory of ours. Where the kernel does not know it, the return from a signal does the same.
    unsafe { libc::syscall(libc::SYS_membarrier, SYNC_CORE, 0, 0) };
}

/// Says that `synchronize` will be wanted.
#[allow(unsafe_code, reason = "the C library has no function for it")]
pub(super) fn announce() {
    // SAFETY: as above; the kernel notes it once, however often it is said.
    unsafe { libc::syscall(libc::SYS_membarrier, REGISTER_SYNC_CORE, 0, 0) };
}

/// Whether a patch was written; `None` where something else stands, and `Some(false)` where nothing was to do.
#[allow(unsafe_code, reason = "code is written")]
fn replace(patch: &EntryPatch, want: Want) -> Option<bool> {
    let (from, to) = match want {
        Want::Jumps => (&patch.original, &patch.jump),
        Want::Originals => (&patch.jump, &patch.original),
    };
    let place = ptr::with_exposed_provenance_mut::<[u8; JUMP]>(patch.at);
    // SAFETY: the library is held, its code can be read, and no thread writes there.
    let now = unsafe { place.read_volatile() };
    if now == *to {
        return Some(false);
    }
    if now != *from {
        return None;
    }
    // SAFETY: the window is open, and no thread runs these bytes: all are stopped outside of them.
    unsafe { place.write_volatile(*to) };
    Some(true)
}
