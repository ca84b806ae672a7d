//! The handler of SIGTRAP, in which a thread that touches watched bytes copies itself.
//!
//! It stays installed (`sigtrap`), since a signal that comes late would end the process without it.

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use diaphane_forks::ForkOnce;
use diaphane_sight::proc::spans;
use diaphane_sight::unwind::{Snapshot, handler};
use rustix::time::{ClockId, clock_gettime};

use super::{MOST_SPOTS, WatchPlan, WatchRefused, WatchTotals, WatchedSpot, sigtrap};
use crate::thread_copies::ThreadCopies;

/// How many copies wait at most; then the thread that has one more waits a little for room.
const SLOTS: usize = 128;
const PATIENCE: Duration = Duration::from_micros(200);
const WAITS: usize = 500;
/// So many bytes an instruction writes at most.
const WIDEST_STORE: usize = 64;
/// `TRAP_PERF`, the code of a perf event's signal.
const OF_PERF: c_int = 6;
/// `TRAP_PERF_FLAG_ASYNC`: the thread blocked the signal when it touched the bytes.
const LATE: u32 = 1;

/// A thread has touched watched bytes.
#[derive(Debug, Clone, Copy)]
pub struct Hit {
    /// Counted from 0.
    pub number: u64,
    /// The thread.
    pub tid: i32,
    /// Which of the spots.
    pub spot: usize,
    /// The bytes as they were at the hit before, or when the watch began; and as they are now.
    pub old: u64,
    /// The same afterwards.
    pub new: u64,
    /// When, on the monotonic clock, in nanoseconds.
    pub at_ns: u64,
    /// Whether the thread blocked the signal then, so that its stack is of a later moment.
    pub is_late: bool,
}

/// A watched spot; a length of 0 for none.
struct Spot {
    address: AtomicUsize,
    length: AtomicUsize,
    /// Its bytes at the last hit.
    bytes: AtomicU64,
}

/// What is told of the first hit at once.
struct First {
    spot: AtomicUsize,
    tid: AtomicI32,
    old: AtomicU64,
    new: AtomicU64,
}

/// The first hit, as far as it is told at once.
#[derive(Debug, Clone, Copy)]
pub struct FirstHit {
    /// Which of the spots.
    pub spot: usize,
    /// The thread.
    pub tid: i32,
    /// The bytes before and afterwards.
    pub old: u64,
    /// The same afterwards.
    pub new: u64,
}

impl First {
    fn store(&self, hit: &Hit) {
        self.spot.store(hit.spot, Ordering::Relaxed);
        self.tid.store(hit.tid, Ordering::Relaxed);
        self.old.store(hit.old, Ordering::Relaxed);
        self.new.store(hit.new, Ordering::Release);
    }
}

/// The first hit of the last watch that had one.
#[must_use]
pub fn first_hit() -> FirstHit {
    FirstHit {
        new: FIRST.new.load(Ordering::Acquire),
        spot: FIRST.spot.load(Ordering::Relaxed),
        tid: FIRST.tid.load(Ordering::Relaxed),
        old: FIRST.old.load(Ordering::Relaxed),
    }
}

static FIRST: First = First {
    spot: AtomicUsize::new(0),
    tid: AtomicI32::new(0),
    old: AtomicU64::new(0),
    new: AtomicU64::new(0),
};
static SPOTS: [Spot; MOST_SPOTS] = [const { Spot::new() }; MOST_SPOTS];
static COPIES: ForkOnce<ThreadCopies<Hit>> = ForkOnce::new();
/// The watch that is on; 0 for none. Signals carry it.
static RECORDING: AtomicU64 = AtomicU64::new(0);
static LAST: AtomicU64 = AtomicU64::new(0);
static HITS: AtomicU64 = AtomicU64::new(0);
static LOST: AtomicU64 = AtomicU64::new(0);
static MOST: AtomicU64 = AtomicU64::new(0);
static MAIN: AtomicI32 = AtomicI32::new(0);
static FLOOR: AtomicUsize = AtomicUsize::new(0);
static NOTE: AtomicUsize = AtomicUsize::new(0);
static AT_FIRST: AtomicUsize = AtomicUsize::new(0);
static IS_REPLACED: AtomicBool = AtomicBool::new(false);

/// What a thread notes, and what is called at the first hit.
type Note = fn(i32, &mut [usize]) -> usize;
type AtFirst = fn();

impl Spot {
    const fn new() -> Self {
        Self {
            address: AtomicUsize::new(0),
            length: AtomicUsize::new(0),
            bytes: AtomicU64::new(0),
        }
    }

    /// The bytes as they are, in the low end of the number; as they were where they cannot be read any more.
    fn now(&self) -> u64 {
        let mut bytes = [0; 8];
        let length = self.length.load(Ordering::Relaxed).min(8);
        let address = self.address.load(Ordering::Relaxed);
        match spans::read(address, &mut bytes[..length]) {
            Ok(read) if read == length => u64::from_ne_bytes(bytes),
            _ => self.bytes.load(Ordering::Relaxed),
        }
    }
}

/// Makes everything ready for a watch, and gives its number.
pub(super) fn arm(plan: &WatchPlan) -> Result<u64, WatchRefused> {
    COPIES.get_or_init(|| ThreadCopies::new(SLOTS));
    // What an earlier watch left behind.
    take().for_each(drop);
    for (number, spot) in SPOTS.iter().enumerate() {
        let wanted = plan.spots.get(number).copied();
        let WatchedSpot { address, length } = wanted.unwrap_or(WatchedSpot {
            address: 0,
            length: 0,
        });
        spot.address.store(address, Ordering::Relaxed);
        spot.length.store(length, Ordering::Relaxed);
        spot.bytes.store(spot.now(), Ordering::Relaxed);
    }
    HITS.store(0, Ordering::Relaxed);
    LOST.store(0, Ordering::Relaxed);
    MOST.store(plan.most, Ordering::Relaxed);
    MAIN.store(plan.main.0, Ordering::Relaxed);
    FLOOR.store(plan.main.1, Ordering::Relaxed);
    NOTE.store(plan.note as usize, Ordering::Relaxed);
    AT_FIRST.store(
        plan.at_first.map_or(0, |first| first as usize),
        Ordering::Relaxed,
    );
    IS_REPLACED.store(false, Ordering::Relaxed);
    keep_handler().map_err(WatchRefused::Unsupported)?;
    handler::keep(libc::SIGTRAP);
    let number = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    RECORDING.store(number, Ordering::Release);
    Ok(number)
}

/// From now on nothing is copied; waits for the handlers that do.
pub(super) fn disarm() {
    if RECORDING.swap(0, Ordering::AcqRel) != 0 {
        IS_REPLACED.store(!sigtrap::is_installed(handle), Ordering::Relaxed);
        handler::let_go(libc::SIGTRAP);
    }
    if let Some(copies) = COPIES.get() {
        copies.settle();
    }
}

/// What the signals of a spot have to carry.
pub(super) fn data(recording: u64, spot: usize) -> u64 {
    recording << 8 | spot as u64
}

/// Whether there were as many hits as were wanted.
pub(super) fn is_full() -> bool {
    HITS.load(Ordering::Relaxed) >= MOST.load(Ordering::Relaxed)
}

/// The copies that are done, in no order.
pub(super) fn take() -> impl Iterator<Item = (Hit, Snapshot)> {
    COPIES.get().into_iter().flat_map(ThreadCopies::take)
}

/// What was counted.
pub(super) fn totals() -> WatchTotals {
    let is_changed = |(_, spot): &(usize, &Spot)| {
        spot.length.load(Ordering::Relaxed) != 0 && spot.now() != spot.bytes.load(Ordering::Relaxed)
    };
    let changed = SPOTS.iter().enumerate().filter(is_changed);
    WatchTotals {
        hits: HITS.load(Ordering::Relaxed),
        lost: LOST.load(Ordering::Relaxed),
        is_full: is_full(),
        changed_unseen: changed.map(|(number, _)| number).collect(),
        is_replaced: IS_REPLACED.load(Ordering::Relaxed),
        unwatched: Vec::new(),
    }
}

/// Installs the handler again, where a program has installed another one since it began.
///
/// # Errors
/// If Linux refuses.
pub fn keep_handler() -> std::io::Result<()> {
    sigtrap::install(handle)
}

/// What Linux says with a signal of a perf event: `siginfo_t` with `_sigfault._perf`.
#[repr(C)]
struct PerfSignal {
    signal: c_int,
    errno: c_int,
    code: c_int,
    padding: c_int,
    address: usize,
    data: u64,
    kind: u32,
    flags: u32,
}

impl PerfSignal {
    fn spot(&self) -> usize {
        usize::from(self.data as u8)
    }

    fn recording(&self) -> u64 {
        self.data >> 8
    }
}

/// The handler.
#[allow(unsafe_code, reason = "called by Linux")]
unsafe extern "C" fn handle(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: with SA_SIGINFO Linux passes a `siginfo_t`, of which all fields may be read.
    let said = unsafe { &*info.cast::<PerfSignal>() };
    if said.code != OF_PERF {
        // SAFETY: these are Linux's own arguments.
        unsafe { sigtrap::pass_on(signal, info, context) };
        return;
    }
    let recording = RECORDING.load(Ordering::Acquire);
    let Some(spot) = SPOTS.get(said.spot()) else {
        return;
    };
    // A late one of an earlier watch, or of somebody else's.
    if recording == 0 || said.recording() != recording {
        return;
    }
    // SAFETY: the C library's variable of this thread.
    let errno = unsafe { *libc::__errno_location() };
    // SAFETY: with SA_SIGINFO Linux passes the interrupted state.
    let context = unsafe { &*context.cast::<libc::ucontext_t>() };
    hit(spot, said, context);
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
}

/// Notes the spot of the signal, and those beside it that have changed: one instruction may write 64 bytes, and Linux
/// keeps one signal of several.
fn hit(spot: &Spot, said: &PerfSignal, context: &libc::ucontext_t) {
    note_hit(spot, said.spot(), said, context);
    let near = spot.address.load(Ordering::Relaxed);
    for (number, other) in SPOTS.iter().enumerate() {
        let is_near = other.address.load(Ordering::Relaxed).abs_diff(near) < WIDEST_STORE;
        let is_watched = number != said.spot() && other.length.load(Ordering::Relaxed) != 0;
        if is_watched && is_near && other.now() != other.bytes.load(Ordering::Acquire) {
            note_hit(other, number, said, context);
        }
    }
}

fn note_hit(spot: &Spot, place: usize, said: &PerfSignal, context: &libc::ucontext_t) {
    let number = HITS.fetch_add(1, Ordering::Relaxed);
    let new = spot.now();
    let hit = Hit {
        number,
        tid: rustix::thread::gettid().as_raw_nonzero().get(),
        spot: place,
        old: spot.bytes.swap(new, Ordering::AcqRel),
        new,
        at_ns: now_ns(),
        is_late: said.flags & LATE != 0,
    };
    if number >= MOST.load(Ordering::Relaxed) {
        return;
    }
    if !copy(hit, context) {
        LOST.fetch_add(1, Ordering::Relaxed);
    }
    if number == 0 {
        FIRST.store(&hit);
        at_first();
    }
}

fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Copies the thread; where there is no room, the thread of ours that makes some is waited for, but not for ever: it may
/// itself wait for a lock that this one holds.
fn copy(hit: Hit, context: &libc::ucontext_t) -> bool {
    let Some(copies) = COPIES.get() else {
        return false;
    };
    let main = hit.tid == MAIN.load(Ordering::Relaxed);
    let floor = if main {
        FLOOR.load(Ordering::Relaxed)
    } else {
        0
    };
    for _ in 0..WAITS {
        if copies.put(context, floor, hit, |words| note(hit.tid, words)) {
            return true;
        }
        std::thread::sleep(PATIENCE);
    }
    false
}

#[allow(unsafe_code, reason = "a function that is kept as a number")]
fn note(tid: i32, words: &mut [usize]) -> usize {
    // SAFETY: `arm` stored a function of this type.
    let note = unsafe { std::mem::transmute::<usize, Note>(NOTE.load(Ordering::Relaxed)) };
    note(tid, words)
}

#[allow(unsafe_code, reason = "a function that is kept as a number")]
fn at_first() {
    let first = AT_FIRST.load(Ordering::Relaxed);
    if first != 0 {
        // SAFETY: `arm` stored a function of this type.
        let first = unsafe { std::mem::transmute::<usize, AtFirst>(first) };
        first();
    }
}
