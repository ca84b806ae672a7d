//! What the kernel writes down so that its death can be told: the black box, and which cells run, for the io thread. A
//! guest (`of_guest.rs`) writes down the same, and has nobody who sends it.
//!
//! The signal handler is `diaphane-sight`'s, the report is the magics'; `io::last_words` sends it.

pub mod of_guest;

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use diaphane_sight::crash::black_box::{self, BlackBox, CELLS};
use diaphane_sight::crash::{alternate_stack, handler};
use diaphane_sight::proc::memory_limits;
use diaphane_wire::Channel;
use parking_lot::Mutex;
use rustix::pipe::{PipeFlags, pipe_with};
use serde_json::{Map, Value};

use crate::allocator;
use crate::exit::DEAD;
use crate::murmur::murmur2;
use crate::notifier::Notifier;
use crate::outbox::Parent;

/// By which hash the files of cells are named; `cells.py` has it too.
const HASH_SEED: u32 = 0xC70F_6907;

/// A cell that runs, for its reply.
#[derive(Clone)]
pub struct RunningCell {
    /// The request.
    pub parent: Parent,
    /// Where it came from.
    pub channel: Channel,
    /// The cell's number.
    pub number: u64,
}

/// The kernel's part in telling of its death.
pub struct Crash {
    /// Rung by a thread that is about to end the process.
    waker: Notifier,
    /// What the process says that looks at this one.
    words: OwnedFd,
    cells: [Mutex<Option<RunningCell>>; CELLS],
    lanes: AtomicUsize,
    /// What is known of the death of the kernel before, until it is said.
    before: Mutex<Option<Map<String, Value>>>,
}

impl Crash {
    /// Makes the black box of the kernel of a connection file, and installs the handlers. `command` are the words by
    /// which this process's program runs our command line.
    ///
    /// # Errors
    /// When the process has no file descriptor or no memory left.
    pub fn begin(
        connection_file: &Path,
        command: Vec<CString>,
        errors: &OwnedFd,
    ) -> std::io::Result<Self> {
        allocator::reserve();
        handler::let_files_be_refused();
        let path = black_box_of(connection_file);
        let before = read_before(&path);
        let own = black_box::create(&path)?;
        let kills = memory_limits::kills().map_or(-1, |(_, kills)| kills);
        own.kills.store(kills, Ordering::Relaxed);
        let (words, output) = pipe_with(PipeFlags::CLOEXEC)?;
        rustix::fs::fcntl_setfl(&words, rustix::fs::OFlags::NONBLOCK)?;
        let arguments = question(command, &path, None);
        // The writing end stays open for the process that is started then.
        let output = std::os::fd::IntoRawFd::into_raw_fd(output);
        handler::set_reader(arguments, output, errors.as_raw_fd());
        handler::install();
        handler::forget_formers();
        Ok(Self {
            waker: Notifier::new()?,
            words,
            cells: std::array::from_fn(|_| Mutex::default()),
            lanes: AtomicUsize::new(0),
            before: Mutex::new(before),
        })
    }

    /// The calling thread tells of the death of others.
    pub fn tell_here(&self) {
        // It is started before the threads that get one by themselves, and may die as they do.
        alternate_stack::begin();
        let tid = rustix::thread::gettid().as_raw_nonzero().get();
        handler::set_reporter(tid, self.waker.as_raw_fd());
    }

    /// What is known of the death of the kernel before this one, by MIME type; once.
    pub fn take_before(&self) -> Option<Map<String, Value>> {
        self.before.lock().take()
    }

    /// Whether a cell runs.
    pub fn is_running(&self) -> bool {
        black_box::writable().is_some_and(|own| own.running().next().is_some())
    }

    /// A client asked for the end: it is no death that anybody has to be told of.
    pub fn asked_to_end(&self) {
        if let Some(own) = black_box::writable() {
            own.asked.store(1, Ordering::Relaxed);
        }
    }

    /// What is rung when the process is about to end.
    pub fn waker(&self) -> &Notifier {
        &self.waker
    }

    /// What the process says that looks at this one.
    pub fn words(&self) -> BorrowedFd<'_> {
        self.words.as_fd()
    }

    /// A place in the black box for a lane, which runs one cell at a time.
    pub fn lane(&self) -> usize {
        self.lanes.fetch_add(1, Ordering::Relaxed)
    }

    /// A cell begins.
    pub fn begin_cell(&self, lane: usize, cell: RunningCell, code: &str) {
        if let Some(own) = black_box::writable() {
            own.errors.clear();
            note_cell(own, lane, u32::try_from(cell.number).unwrap_or(0), code);
        }
        self.set(lane, Some(cell));
    }

    /// It has ended.
    pub fn end_cell(&self, lane: usize) {
        if let Some(own) = black_box::writable() {
            own.end_cell(lane);
        }
        self.set(lane, None);
    }

    fn set(&self, lane: usize, cell: Option<RunningCell>) {
        if let Some(slot) = self.cells.get(lane) {
            *slot.lock() = cell;
        }
    }

    /// The cells that run, with their places. The thread that died may hold a lock, which is not waited for.
    pub fn running(&self) -> Vec<(usize, RunningCell)> {
        let cells = self.cells.iter().enumerate();
        let running =
            cells.filter_map(|(slot, cell)| Some((slot, cell.try_lock_for(DEAD)?.clone()?)));
        running.collect()
    }
}

/// What is known of the kernel that left a black box, which is taken away; of one that still runs it is left.
fn read_before(path: &Path) -> Option<Map<String, Value>> {
    let old = black_box::open(path)
        .inspect_err(|error| {
            if error.kind() == std::io::ErrorKind::InvalidData {
                // One of another version.
                let _gone = std::fs::remove_file(path);
            }
        })
        .ok()?;
    if old.is_alive() {
        return None;
    }
    let before = diaphane_magics::death_before(old, path);
    let _gone = std::fs::remove_file(path);
    before
}

/// Where the black box of the kernel of a connection file lies. The name has nothing of that file's, by which front ends
/// look for kernels.
fn black_box_of(connection_file: &Path) -> PathBuf {
    let whole = std::path::absolute(connection_file).unwrap_or_else(|_| connection_file.to_owned());
    let name = whole.as_os_str().as_encoded_bytes();
    let hash = u64::from(murmur2(name, 1)) << 32 | u64::from(murmur2(name, 2));
    whole.with_file_name(format!("diaphane-{hash:016x}.box"))
}

/// The words by which the process is started that looks at this one.
fn question(command: Vec<CString>, path: &Path, option: Option<&str>) -> Vec<CString> {
    let words = [b"crash-report", path.as_os_str().as_encoded_bytes()];
    let words = words.into_iter().chain(option.map(str::as_bytes));
    let words = words.map(|word| CString::new(word).unwrap_or_default());
    command.into_iter().chain(words).collect()
}

/// Writes down that a cell begins.
fn note_cell(own: &BlackBox, slot: usize, number: u32, code: &str) {
    let hash = murmur2(code.as_bytes(), HASH_SEED);
    own.begin_cell(slot, number, hash, as_counted(code));
}

/// The cell as IPython counts its lines: without the empty ones at its beginning.
fn as_counted(code: &str) -> &str {
    let mut rest = code;
    while let Some((_, below)) = rest
        .split_once('\n')
        .filter(|(line, _)| line.trim().is_empty())
    {
        rest = below;
    }
    rest
}

impl RunningCell {
    /// A cell of a request.
    #[must_use]
    pub fn new(parent: &Parent, channel: Channel, number: u64) -> Self {
        Self {
            parent: Arc::clone(parent),
            channel,
            number,
        }
    }
}
