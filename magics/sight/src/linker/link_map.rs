//! What the dynamic linker says: which images are loaded, in which order, and where the loader itself lies.
//!
//! The only caller of `dl_iterate_phdr`, through `forks`. Images are read once and remembered until the linker unloads something, so
//! that asking again costs a walk and no reading.

use super::forks;
use diaphane_forks::ProcessLock;
use std::collections::HashMap;
use std::ffi::{CStr, c_int, c_void};
use std::sync::Arc;

use object::elf::ProgramType;

use crate::elf::image::{Image, Part};
use crate::proc::spans::Span;
use crate::proc::target_process::TargetProcess;

use crate::linker::forks::iterate;

/// One image in the linker's list.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The path by which it was loaded; empty for the program.
    pub name: String,
    /// Its content.
    pub image: Arc<Image>,
}

/// Images by the distance from their file's addresses to those in memory, as long as nothing is unloaded.
#[derive(Default)]
struct Known {
    unloads: u64,
    images: HashMap<usize, Arc<Image>>,
}

static KNOWN: ProcessLock<Option<Known>> = ProcessLock::new(|| None);

/// The loaded images in the linker's order.
pub fn entries() -> Vec<Entry> {
    let walk = walk();
    let mut known = KNOWN.lock();
    let known = known.get_or_insert_default();
    if known.unloads != walk.unloads {
        *known = Known {
            unloads: walk.unloads,
            images: HashMap::new(),
        };
    }
    let mut entry = |raw: Raw| {
        let read = || {
            Arc::new(Image::read(
                TargetProcess::OWN,
                raw.bias,
                raw.parts,
                &raw.name,
            ))
        };
        Entry {
            image: Arc::clone(known.images.entry(raw.bias).or_insert_with(read)),
            name: raw.name,
        }
    };
    walk.images.into_iter().map(&mut entry).collect()
}

/// The biases of the images that are loaded, in the linker's order.
pub fn biases() -> Vec<usize> {
    walk().images.iter().map(|image| image.bias).collect()
}

/// Runs something that no fork interrupts, so that a child never inherits a lock that it holds. It must be short.
pub fn while_nobody_forks<T>(run: impl FnOnce() -> T) -> T {
    forks::while_nobody_forks(run)
}

/// How many images were ever loaded and unloaded: two equal answers mean that nothing changed in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Loaded, those of the start too.
    pub loads: u64,
    /// Unloaded.
    pub unloads: u64,
}

/// Asks for the counters; it takes about a microsecond.
#[allow(
    unsafe_code,
    reason = "dl_iterate_phdr is a C function with a callback"
)]
pub fn counters() -> Counters {
    let mut counters = Counters::default();
    // SAFETY: `count` has the signature that is asked for and gets back the pointer to `counters`, which outlives the
    // call.
    unsafe { iterate(count, (&raw mut counters).cast()) };
    counters
}

/// Reads the counters of the first image, and stops.
#[allow(unsafe_code, reason = "called by the dynamic linker with raw pointers")]
unsafe extern "C" fn count(
    info: *mut libc::dl_phdr_info,
    _size: usize,
    data: *mut c_void,
) -> c_int {
    // SAFETY: the linker passes a valid description for the length of this call.
    let info = unsafe { &*info };
    // SAFETY: `counters` passed the address of its own value, which nothing else uses during the walk.
    let counters = unsafe { &mut *data.cast::<Counters>() };
    *counters = Counters {
        loads: info.dlpi_adds,
        unloads: info.dlpi_subs,
    };
    1
}

/// Runs something while the image with this bias cannot be unloaded; `None` if it is not loaded any more.
///
/// The linker's lock is held meanwhile, so what runs must be short, and must neither load nor unload.
#[allow(
    unsafe_code,
    reason = "dl_iterate_phdr is a C function with a callback"
)]
pub fn while_loaded<T, F: FnOnce() -> T>(bias: usize, run: F) -> Option<T> {
    let mut guarded = Guarded {
        bias,
        run: Some(run),
        done: None,
    };
    // SAFETY: `guard` has the signature that is asked for and gets back the pointer to `guarded`, of its own type, which
    // outlives the call.
    unsafe { iterate(guard::<T, F>, (&raw mut guarded).cast()) };
    guarded.done
}

/// Runs something while nothing can be unloaded; see `while_loaded`.
pub fn while_nothing_unloads<T>(run: impl FnOnce() -> T) -> Option<T> {
    // The program itself is the first image, and stays.
    let program = *biases().first()?;
    while_loaded(program, run)
}

struct Guarded<T, F> {
    bias: usize,
    run: Option<F>,
    done: Option<T>,
}

/// Runs what is to be run at its image, and stops.
#[allow(unsafe_code, reason = "called by the dynamic linker with raw pointers")]
unsafe extern "C" fn guard<T, F: FnOnce() -> T>(
    info: *mut libc::dl_phdr_info,
    _size: usize,
    data: *mut c_void,
) -> c_int {
    // SAFETY: the linker passes a valid description for the length of this call.
    let info = unsafe { &*info };
    // SAFETY: `while_loaded` passed the address of its own value of this type, which nothing else uses meanwhile.
    let guarded = unsafe { &mut *data.cast::<Guarded<T, F>>() };
    if info.dlpi_addr as usize != guarded.bias {
        return 0;
    }
    guarded.done = guarded.run.take().map(|run| run());
    1
}

/// Two addresses that the kernel hands to every program.
pub struct Auxiliary {
    /// Where the kernel's own page of code lies.
    pub vdso: Option<usize>,
    /// Where the dynamic linker lies.
    pub loader: Option<usize>,
}

impl Auxiliary {
    /// Asks the C library, which keeps what the kernel handed over.
    #[allow(
        unsafe_code,
        reason = "the auxiliary vector has no safe reader for these two entries"
    )]
    pub fn read() -> Self {
        let value = |kind| {
            // SAFETY: `getauxval` takes any number and answers 0 for an unknown one.
            let value = unsafe { libc::getauxval(kind) };
            usize::try_from(value).ok().filter(|&address| address != 0)
        };
        Self {
            vdso: value(libc::AT_SYSINFO_EHDR),
            loader: value(libc::AT_BASE),
        }
    }
}

/// What one walk over the linker's list gives.
#[derive(Default)]
struct Walk {
    unloads: u64,
    images: Vec<Raw>,
}

struct Raw {
    name: String,
    bias: usize,
    parts: Vec<Part>,
}

#[allow(
    unsafe_code,
    reason = "dl_iterate_phdr is a C function with a callback"
)]
fn walk() -> Walk {
    let mut walk = Walk::default();
    // SAFETY: `collect` has the signature that is asked for and gets back the pointer to `walk`, which outlives the
    // call.
    unsafe { iterate(collect, (&raw mut walk).cast()) };
    walk
}

/// Only copies, since the linker's lock is held here.
#[allow(unsafe_code, reason = "called by the dynamic linker with raw pointers")]
unsafe extern "C" fn collect(
    info: *mut libc::dl_phdr_info,
    _size: usize,
    data: *mut c_void,
) -> c_int {
    // SAFETY: the linker passes a valid description for the length of this call.
    let info = unsafe { &*info };
    // SAFETY: `walk` passed the address of its own value, which nothing else uses during the walk.
    let walk = unsafe { &mut *data.cast::<Walk>() };
    // SAFETY: the linker's names end with NUL and live as long as its lock is held.
    let name = unsafe { CStr::from_ptr(info.dlpi_name) };
    // SAFETY: the linker's headers are mapped and as many as it says.
    let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
    let bias = info.dlpi_addr as usize;
    let parts = headers.iter().map(|header| {
        let start = bias.wrapping_add(header.p_vaddr as usize);
        let span = Span::new(start, start.wrapping_add(header.p_memsz as usize));
        Part {
            kind: ProgramType(header.p_type),
            span,
            align: header.p_align,
            is_executable: header.p_flags & libc::PF_X != 0,
        }
    });
    walk.unloads = info.dlpi_subs;
    walk.images.push(Raw {
        name: name.to_string_lossy().into_owned(),
        bias,
        parts: parts.collect(),
    });
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_read_once() {
        let (first, second) = (entries(), entries());
        assert!(
            first
                .iter()
                .zip(&second)
                .all(|(one, other)| Arc::ptr_eq(&one.image, &other.image))
        );
        assert!(first.len() > 2 && first[0].name.is_empty());
    }

    #[test]
    fn the_loader_is_among_the_images() {
        let auxiliary = Auxiliary::read();
        let spans: Vec<Span> = entries().iter().map(|entry| entry.image.span()).collect();
        for address in [auxiliary.loader.unwrap(), auxiliary.vdso.unwrap()] {
            assert_eq!(
                spans.iter().filter(|span| span.contains(address)).count(),
                1
            );
        }
    }
}
