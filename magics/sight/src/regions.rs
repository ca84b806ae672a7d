//! What each region of memory is for: code, data, the heap, an arena of malloc, the stack of a thread, and so on.
//!
//! The kernel names only a few. The others are recognised by what lies in them, and only where that is sure: a library
//! by the linker's list, the stack of a thread by the C library's descriptor at its end, an arena by its own header.
//! Neighbouring stacks may be one region: from glibc 2.42 on the guard between two of them is not one of its own.

use serde::Serialize;

use crate::linker::libraries::Library;
use crate::proc::maps::{MappingKind, Maps, Region};
use crate::proc::spans::word;
use crate::proc::thread_descriptors::{descriptors, stack_end};

/// What a region is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RegionKind {
    /// A library's code.
    Code,
    /// A library's other parts.
    Data,
    /// What `brk` grows: malloc's first arena.
    Heap,
    /// Another arena of malloc, for threads.
    Arena,
    /// The stack of a thread.
    Stack,
    /// A mapped file.
    File,
    /// Memory that other processes can share.
    Shared,
    /// Code that no file holds: a compiler made it at run time.
    Jit,
    /// The kernel's own pages.
    Kernel,
    /// Addresses that are taken and cannot be used: guard pages, and what an arena or a library keeps free.
    Reserved,
    /// Anything else: large blocks of malloc, memory of other allocators.
    Anonymous,
}

/// The stack of a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ThreadStack {
    /// Behind its last byte, where its thread's descriptor ends too.
    pub end: usize,
    /// The number of the thread.
    pub thread: i32,
}

/// A region and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purpose {
    /// What it is for.
    pub kind: RegionKind,
    /// The index of the library in the list that was given.
    pub library: Option<usize>,
    /// The stacks in it, in the order of their addresses.
    pub stacks: Vec<ThreadStack>,
}

impl Purpose {
    /// The thread whose stack an address of the region lies on.
    #[must_use]
    pub fn thread_at(&self, address: usize) -> Option<i32> {
        let stack = self.stacks.iter().find(|stack| address < stack.end)?;
        Some(stack.thread)
    }
}

/// Recognises every region, in their order.
pub fn purposes(maps: &Maps, libraries: &[Library]) -> Vec<Purpose> {
    let stacks = stacks();
    let of_library = owners(maps, libraries);
    let purpose = |(region, library): (&Region, Option<usize>)| Purpose {
        library,
        ..purpose(region, library, &stacks)
    };
    maps.regions.iter().zip(of_library).map(purpose).collect()
}

/// The stacks of the threads but for the main one's, which the kernel names; its descriptor lies elsewhere.
fn stacks() -> Vec<ThreadStack> {
    let mut descriptors = descriptors();
    descriptors.remove(&std::process::id().cast_signed());
    let stack = |(thread, descriptor): (i32, usize)| ThreadStack {
        end: stack_end(descriptor),
        thread,
    };
    let mut stacks: Vec<_> = descriptors.into_iter().map(stack).collect();
    stacks.sort_unstable();
    stacks
}

/// The library that each region belongs to. Both lists are walked side by side.
fn owners(maps: &Maps, libraries: &[Library]) -> Vec<Option<usize>> {
    let mut spans: Vec<_> = libraries
        .iter()
        .enumerate()
        .map(|(index, library)| (library.span, index))
        .collect();
    spans.sort_unstable();
    let owner = |region: &Region| {
        let after = spans.partition_point(|(span, _)| span.start <= region.span.start);
        let (span, index) = spans[..after].last()?;
        span.contains(region.span.start).then_some(*index)
    };
    maps.regions.iter().map(owner).collect()
}

fn purpose(region: &Region, library: Option<usize>, stacks: &[ThreadStack]) -> Purpose {
    let plain = |kind| Purpose {
        kind,
        library: None,
        stacks: Vec::new(),
    };
    let shared = region.perms.ends_with('s');
    match region.kind() {
        MappingKind::Special => return plain(RegionKind::Kernel),
        MappingKind::Heap => return plain(RegionKind::Heap),
        MappingKind::Stack => {
            let main = ThreadStack {
                end: region.span.end,
                thread: std::process::id().cast_signed(),
            };
            return Purpose {
                stacks: vec![main],
                ..plain(RegionKind::Stack)
            };
        }
        MappingKind::File | MappingKind::Anonymous => {}
    }
    if region.perms.starts_with("---") {
        return plain(RegionKind::Reserved);
    }
    if library.is_some() {
        return plain(if region.is_executable() {
            RegionKind::Code
        } else {
            RegionKind::Data
        });
    }
    match region.path() {
        Some(path) if shared || path.starts_with("/dev/shm/") || path.starts_with("/memfd:") => {
            plain(RegionKind::Shared)
        }
        Some(_) => plain(RegionKind::File),
        None if shared => plain(RegionKind::Shared),
        None if region.is_executable() => plain(RegionKind::Jit),
        None => {
            let own = |stack: &&ThreadStack| region.span.contains(stack.end - 1);
            let stacks: Vec<_> = stacks.iter().filter(own).copied().collect();
            match stacks.is_empty() {
                false => Purpose {
                    stacks,
                    ..plain(RegionKind::Stack)
                },
                true if is_arena(region) => plain(RegionKind::Arena),
                true => plain(RegionKind::Anonymous),
            }
        }
    }
}

/// The C library gives each further arena pieces of this size and alignment.
const ARENA: usize = 64 * 1024 * 1024;

/// Whether a region is a piece of an arena: it begins with a header that names the arena and the piece's own size.
fn is_arena(region: &Region) -> bool {
    let start = region.span.start;
    if !start.is_multiple_of(ARENA) || region.span.len() > ARENA {
        return false;
    }
    let field = |index: usize| word(start + index * size_of::<usize>());
    let [Some(arena), Some(previous), Some(used), Some(usable)] =
        [field(0), field(1), field(2), field(3)]
    else {
        return false;
    };
    // The piece may have grown since its region was read.
    // The first piece holds the arena itself, behind the header; a later one names the piece before it.
    let piece = arena - arena % ARENA;
    let is_first = piece == start && previous == 0;
    let is_later = previous != 0 && previous.is_multiple_of(ARENA) && piece != start;
    (is_first || is_later) && used <= usable && (region.span.len()..=ARENA).contains(&usable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linker::libraries;

    #[test]
    fn well_known_places_are_recognised() {
        let (finish, finished) = std::sync::mpsc::channel::<()>();
        let (say, said) = std::sync::mpsc::channel();
        let worker = std::thread::spawn(move || {
            let on_stack = 0u8;
            // A thread's first allocation makes its arena; this one is too small for a region of its own.
            let in_arena = vec![1u8; 4000];
            let number = rustix::thread::gettid().as_raw_nonzero().get();
            say.send((
                number,
                (&raw const on_stack).addr(),
                in_arena.as_ptr().addr(),
            ))
            .unwrap();
            let _ = finished.recv();
            drop(in_arena);
        });
        let (number, stack, arena) = said.recv().unwrap();
        let maps = Maps::read().unwrap();
        let libraries = libraries::loaded(&maps).unwrap();
        let purposes = purposes(&maps, &libraries);
        let at = |address: usize| {
            &purposes[maps
                .regions
                .iter()
                .position(|region| region.span.contains(address))
                .unwrap()]
        };
        assert_eq!(
            (at(stack).kind, at(stack).thread_at(stack)),
            (RegionKind::Stack, Some(number))
        );
        assert_eq!(at(arena).kind, RegionKind::Arena);
        let own = at(well_known_places_are_recognised as *const () as usize);
        assert_eq!((own.kind, own.library), (RegionKind::Code, Some(0)));
        assert_eq!(
            purposes
                .iter()
                .filter(|one| one.kind == RegionKind::Heap)
                .count(),
            1
        );
        drop(finish);
        worker.join().unwrap();
    }
}
