//! A file in shared memory, in which a process writes what it does as it does it: whoever comes after its death can read it.
//!
//! Writing is a few stores and no system call. Any bytes are a value, since the process may end between two stores.
#![allow(unsafe_code, reason = "a mapped file becomes a structure of atomics")]

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{
    AtomicI32, AtomicI64, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering,
};

use diaphane_forks::ForkOnce;
use rustix::fs::FallocateFlags;

use super::fault::SharedFault;
use super::shared_text::SharedText;
use crate::proc::identity::started_at;

/// What the file begins with; the last digits are the version of what follows.
const MAGIC: u64 = u64::from_ne_bytes(*b"diabox01");
/// So many cells can run at once and be noted: the main thread's, and those of subshells.
pub const CELLS: usize = 8;
/// So many earlier cells are known by the files of their code.
const EARLIER: usize = 1024;
/// So many arrays are noted.
pub const ARRAYS: usize = 256;

/// So many libraries are noted; then the first ones are forgotten.
const LIBRARIES: usize = 1024;

/// How a process ended, as far as it could say so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum End {
    /// It did not say: it runs, or was killed.
    None = 0,
    /// It was asked to end.
    Asked = 1,
    /// By a signal, of which there is a record.
    Fault = 2,
    /// By `exit` or `_exit`.
    Exit = 3,
}

/// A cell that runs.
#[derive(Default)]
#[repr(C)]
pub struct CellSlot {
    /// Whether it runs.
    pub running: AtomicU32,
    /// Its number.
    pub number: AtomicU32,
    /// The thread that runs it.
    pub tid: AtomicI32,
    /// By which the file of its code is named.
    pub file: AtomicU32,
    /// When it began, in milliseconds of Unix time.
    pub begun: AtomicU64,
    /// The code's beginning.
    pub code: SharedText<1024>,
}

/// An array that a variable held.
#[derive(Default)]
#[repr(C)]
pub struct ArraySlot {
    /// The first byte; 0 where the slot is empty.
    pub address: AtomicUsize,
    /// How many bytes.
    pub length: AtomicUsize,
    /// The variable.
    pub name: SharedText<6>,
}

/// A library that was loaded at some time.
#[derive(Default)]
#[repr(C)]
pub struct LibrarySlot {
    /// Its first byte; 0 where the slot is empty.
    pub start: AtomicUsize,
    /// Behind its last byte.
    pub end: AtomicUsize,
    /// Its file.
    pub path: SharedText<24>,
}

/// Memory as it was looked at last while a cell ran.
#[derive(Default)]
#[repr(C)]
pub struct MemorySlot {
    /// When, in milliseconds of Unix time; 0: never.
    pub at: AtomicU64,
    /// What counts towards the limit, in bytes.
    pub used: AtomicU64,
    /// The limit, in bytes.
    pub limit: AtomicU64,
    /// What sets it.
    pub name: SharedText<32>,
    /// The largest arrays then, as words.
    pub arrays: SharedText<64>,
}

/// Where things are in the process, for whoever reads its memory.
#[derive(Default)]
#[repr(C)]
pub struct Places {
    /// The dictionary of the user's variables.
    pub namespace: AtomicUsize,
    /// Whether dictionaries were found to be what is known of them.
    pub knows_dicts: AtomicU32,
}

/// The whole.
#[repr(C)]
pub struct BlackBox {
    magic: AtomicU64,
    /// The process.
    pub pid: AtomicI32,
    /// An [`End`].
    end: AtomicU32,
    /// When the process began, in ticks since the system did: its number may be another one's by now.
    started: AtomicU64,
    /// The status that `exit` was given.
    pub status: AtomicI32,
    /// Whether the user was told of the end.
    pub told: AtomicU32,
    /// Whether a client asked for the end.
    pub asked: AtomicU32,
    /// How often the control group had run out of memory when the process began; -1 where that is not known.
    pub kills: AtomicI64,
    /// The fault.
    pub fault: SharedFault,
    /// The cells that run.
    pub cells: [CellSlot; CELLS],
    /// The last of what was written to the standard error by others than Python.
    pub errors: SharedText<512>,
    /// Memory.
    pub memory: MemorySlot,
    /// For readers.
    pub places: Places,
    /// Numbers of cells by the files of their code: the file in the upper half.
    earlier: [AtomicU64; EARLIER],
    /// The arrays that variables held when the last cell began.
    pub arrays: [ArraySlot; ARRAYS],
    libraries: [LibrarySlot; LIBRARIES],
    next_library: AtomicUsize,
}

/// This process's own.
static OWN: AtomicPtr<BlackBox> = AtomicPtr::new(std::ptr::null_mut());
/// Its descriptor, by which others open it.
static DESCRIPTOR: AtomicI32 = AtomicI32::new(-1);
static PATH: ForkOnce<PathBuf> = ForkOnce::new();

/// The black box of this process, if it has one. A forked child has its parent's, and must not write there.
pub fn own() -> Option<&'static BlackBox> {
    let own = OWN.load(Ordering::Acquire);
    // SAFETY: it is null or a mapping that is never undone, whose structure is of atomics alone.
    unsafe { own.as_ref() }
}

/// The same for writers: nothing in a forked child.
pub fn writable() -> Option<&'static BlackBox> {
    own().filter(|own| own.pid.load(Ordering::Relaxed) == std::process::id().cast_signed())
}

/// Where the black box of this process lies, or would lie if it could.
pub fn path() -> Option<&'static Path> {
    PATH.get().map(PathBuf::as_path)
}

/// The descriptor of the black box of this process; -1 without one.
pub(super) fn descriptor() -> i32 {
    DESCRIPTOR.load(Ordering::Relaxed)
}

/// Makes the black box of this process: in a file of this name, or without a name where that cannot be, or in memory
/// that nobody else reads where no file may be so large.
///
/// # Errors
/// When there is no memory for it.
pub fn create(path: &Path) -> io::Result<&'static BlackBox> {
    begin(path, named(path).or_else(|_| nameless()).ok())
}

/// The same without a file: nobody reads it who comes after the death. Reports lie where the path says.
///
/// # Errors
/// When there is no memory for it.
pub fn create_nameless(path: &Path) -> io::Result<&'static BlackBox> {
    begin(path, nameless().ok())
}

fn begin(path: &Path, file: Option<OwnedFd>) -> io::Result<&'static BlackBox> {
    let mapped = map(file.as_ref(), true)?;
    let pid = std::process::id().cast_signed();
    mapped.pid.store(pid, Ordering::Relaxed);
    let started = started_at(pid).unwrap_or(0);
    mapped.started.store(started, Ordering::Relaxed);
    mapped.magic.store(MAGIC, Ordering::Release);
    PATH.get_or_init(|| path.to_owned());
    DESCRIPTOR.store(file.map_or(-1, OwnedFd::into_raw_fd), Ordering::Relaxed);
    OWN.store(std::ptr::from_ref(mapped).cast_mut(), Ordering::Release);
    Ok(mapped)
}

/// A new file of the whole size, for its owner alone. A store to it must never find the disk full.
fn named(path: &Path) -> io::Result<OwnedFd> {
    let mut file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    let size = size_of::<BlackBox>();
    let kept = rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, size as u64);
    kept.map_err(io::Error::from)
        // Some file systems keep no room, and have to be given what fills it.
        .or_else(|_| file.write_all(&vec![0; size]))
        .inspect_err(|_| {
            // It would be taken for one of a kernel that died.
            let _gone = std::fs::remove_file(path);
        })
        .map(|()| file.into())
}

fn nameless() -> io::Result<OwnedFd> {
    let file = rustix::fs::memfd_create("diaphane", rustix::fs::MemfdFlags::CLOEXEC)?;
    rustix::fs::ftruncate(&file, size_of::<BlackBox>() as u64)?;
    Ok(file)
}

/// Opens a black box of any process, to be read. It stays mapped.
///
/// # Errors
/// When the file cannot be read, or is none.
pub fn open(path: &Path) -> io::Result<&'static BlackBox> {
    let file = OwnedFd::from(File::open(path)?);
    let is_whole = rustix::fs::fstat(&file)?.st_size == size_of::<BlackBox>() as i64;
    let mapped = is_whole.then(|| map(Some(&file), false)).transpose()?;
    mapped
        .filter(|mapped| mapped.magic.load(Ordering::Acquire) == MAGIC)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "this is no black box"))
}

fn map(file: Option<&OwnedFd>, writes: bool) -> io::Result<&'static BlackBox> {
    let rights = libc::PROT_READ | if writes { libc::PROT_WRITE } else { 0 };
    let (descriptor, kind) = match file {
        Some(file) => (file.as_raw_fd(), libc::MAP_SHARED),
        None => (-1, libc::MAP_SHARED | libc::MAP_ANONYMOUS),
    };
    // SAFETY: a new mapping at an address that the kernel chooses touches nobody's memory.
    let address = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            size_of::<BlackBox>(),
            rights,
            kind,
            descriptor,
            0,
        )
    };
    if address == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the mapping is as large as the structure and stays; it is of atomics alone, for which any bytes are a value.
    Ok(unsafe { &*address.cast::<BlackBox>() })
}

impl BlackBox {
    /// How the process ended, as far as it said.
    pub fn end(&self) -> End {
        match self.end.load(Ordering::Acquire) {
            1 => End::Asked,
            2 => End::Fault,
            3 => End::Exit,
            _ => End::None,
        }
    }

    /// Says how the process is about to end.
    pub fn set_end(&self, end: End) {
        self.end.store(end as u32, Ordering::Release);
    }

    /// Whether the process still runs.
    pub fn is_alive(&self) -> bool {
        let pid = self.pid.load(Ordering::Relaxed);
        started_at(pid).is_some_and(|started| started == self.started.load(Ordering::Relaxed))
    }

    /// A cell begins in a slot.
    pub fn begin_cell(&self, slot: usize, number: u32, file: u32, code: &str) {
        let Some(cell) = self.cells.get(slot) else {
            return;
        };
        cell.number.store(number, Ordering::Relaxed);
        cell.file.store(file, Ordering::Relaxed);
        let tid = rustix::thread::gettid().as_raw_nonzero().get();
        cell.tid.store(tid, Ordering::Relaxed);
        cell.begun.store(now(), Ordering::Relaxed);
        cell.code.set(code);
        let earlier = &self.earlier[number as usize % EARLIER];
        earlier.store(u64::from(file) << 32 | u64::from(number), Ordering::Relaxed);
        cell.running.store(1, Ordering::Release);
    }

    /// It has ended.
    pub fn end_cell(&self, slot: usize) {
        if let Some(cell) = self.cells.get(slot) {
            cell.running.store(0, Ordering::Release);
        }
    }

    /// A library was loaded.
    pub fn note_library(&self, start: usize, end: usize, path: &str) {
        let number = self.next_library.fetch_add(1, Ordering::Relaxed);
        let slot = &self.libraries[number % LIBRARIES];
        slot.start.store(0, Ordering::Release);
        slot.end.store(end, Ordering::Relaxed);
        slot.path.set(path);
        slot.start.store(start, Ordering::Release);
    }

    /// The libraries that were ever loaded.
    pub fn libraries(&self) -> impl Iterator<Item = &LibrarySlot> {
        let is_used = |slot: &&LibrarySlot| slot.start.load(Ordering::Acquire) != 0;
        self.libraries.iter().filter(is_used)
    }

    /// Notes the arrays that variables hold.
    pub fn note_arrays<'a>(&self, arrays: impl Iterator<Item = (&'a str, usize, usize)>) {
        let mut slots = self.arrays.iter();
        for ((name, address, length), slot) in arrays.zip(slots.by_ref()) {
            slot.address.store(address, Ordering::Relaxed);
            slot.length.store(length, Ordering::Relaxed);
            slot.name.set(name);
        }
        if let Some(end) = slots.next() {
            end.address.store(0, Ordering::Relaxed);
        }
    }

    /// The cells that run.
    pub fn running(&self) -> impl Iterator<Item = (usize, &CellSlot)> {
        let cells = self.cells.iter().enumerate();
        cells.filter(|(_, cell)| cell.running.load(Ordering::Acquire) != 0)
    }

    /// The number of the cell whose code is in a file of this number.
    pub fn cell_of_file(&self, file: u32) -> Option<u32> {
        let earlier = self.earlier.iter().map(|one| one.load(Ordering::Relaxed));
        let of_file = earlier.filter(|one| one >> 32 == u64::from(file));
        of_file
            .map(|one| one as u32)
            .filter(|number| *number > 0)
            .max()
    }
}

/// Milliseconds of Unix time.
pub fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(0))
}
