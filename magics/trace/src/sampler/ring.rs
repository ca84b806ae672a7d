//! The handler of the sampler's signal, in which threads make copies of themselves.
//!
//! The room for them stays for the next recording, since a late signal may still be on its way; it finds another
//! recording's number, and leaves.

use diaphane_forks::ForkOnce;
use std::ffi::{c_int, c_void};
use std::sync::atomic::{
    AtomicBool, AtomicI32, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering,
};

use diaphane_sight::unwind::{Snapshot, claim, received};

use super::timer::{self, own_cpu};
use super::{Clock, SamplerRefused, Totals};
use crate::arch::signal_frames;
use crate::thread_copies::ThreadCopies;

/// How many copies wait at most.
const SLOTS: usize = 128;
/// How many threads are watched at once.
pub(super) const MOST_THREADS: usize = 512;

/// What a thread says with its copy.
#[derive(Clone, Copy)]
pub(super) struct Looked {
    pub tid: i32,
    pub count: u32,
    /// What the system call waits for in which it sleeps, if it does.
    pub futex: Option<usize>,
}

/// What the handler of one thread has to know, and what it counts.
pub(super) struct SampledThread {
    pub tid: AtomicI32,
    pub argument: AtomicUsize,
    /// Stacks are copied up to here; 0 for no limit.
    pub floor: AtomicUsize,
    /// Whether only time on a CPU counts.
    pub only_cpu: AtomicU8,
    /// The time on a CPU at the last signal, and how much of it no sample stands for yet.
    pub cpu: AtomicU64,
    pub due: AtomicU64,
    /// For how many periods the next sample stands.
    pub owed: AtomicU32,
    /// Whether a signal is on its way.
    pub asked: AtomicBool,
    /// How long the thread was in the handler, in nanoseconds.
    spent: AtomicU64,
}

static SAMPLED: [SampledThread; MOST_THREADS] = [const { SampledThread::new() }; MOST_THREADS];
static RING: ForkOnce<ThreadCopies<Looked>> = ForkOnce::new();
static SIGNAL: AtomicI32 = AtomicI32::new(0);
/// The recording that is going on; 0 for none. Signals carry it.
static RECORDING: AtomicU64 = AtomicU64::new(0);
static LAST: AtomicU64 = AtomicU64::new(0);
static PERIOD: AtomicU64 = AtomicU64::new(0);
static NOTE: AtomicUsize = AtomicUsize::new(0);
static LOST: AtomicU64 = AtomicU64::new(0);
static LATE: AtomicU64 = AtomicU64::new(0);
static ENDED: AtomicU64 = AtomicU64::new(0);

impl SampledThread {
    const fn new() -> Self {
        Self {
            tid: AtomicI32::new(0),
            argument: AtomicUsize::new(0),
            floor: AtomicUsize::new(0),
            only_cpu: AtomicU8::new(0),
            cpu: AtomicU64::new(0),
            due: AtomicU64::new(0),
            owed: AtomicU32::new(0),
            asked: AtomicBool::new(false),
            spent: AtomicU64::new(0),
        }
    }
}

/// What a thread notes.
type Note = fn(usize, &mut [usize]) -> usize;

/// Makes room, and gives the signal.
pub(super) fn open(note: Note, clock: Clock, hz: u32) -> Result<c_int, SamplerRefused> {
    RING.get_or_init(|| ThreadCopies::new(SLOTS));
    let signal = claim(&SIGNAL, handle, libc::SA_RESTART).ok_or(SamplerRefused::NoSignal)?;
    let period = 1_000_000_000 / u64::from(hz.max(1));
    PERIOD.store(period, Ordering::Relaxed);
    NOTE.store(note as usize, Ordering::Relaxed);
    LOST.store(0, Ordering::Relaxed);
    LATE.store(0, Ordering::Relaxed);
    ENDED.store(0, Ordering::Relaxed);
    for sampled in &SAMPLED {
        sampled.tid.store(0, Ordering::Relaxed);
        sampled.spent.store(0, Ordering::Relaxed);
        sampled
            .only_cpu
            .store(u8::from(clock == Clock::Cpu), Ordering::Relaxed);
    }
    let number = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    RECORDING.store(number, Ordering::Release);
    Ok(signal)
}

/// From now on handlers copy nothing; waits for those that do, as long as they take.
pub(super) fn close() {
    RECORDING.store(0, Ordering::Release);
    if let Some(ring) = RING.get() {
        ring.settle();
    }
}

/// A sampled thread by its place in the table.
pub(super) fn sampled_thread(index: usize) -> &'static SampledThread {
    &SAMPLED[index]
}

/// What the signal of a sampled thread has to carry.
pub(super) fn value(index: usize) -> usize {
    (RECORDING.load(Ordering::Relaxed) as usize) << 16 | index
}

/// What was counted since the recording began; `main` is the thread of the cell.
pub(super) fn totals(main: i32) -> Totals {
    let of_main = |thread: &&SampledThread| thread.tid.load(Ordering::Relaxed) == main;
    let handlers = SAMPLED.iter().filter(of_main);
    Totals {
        handler_ns: handlers
            .map(|thread| thread.spent.load(Ordering::Relaxed))
            .sum(),
        lost: LOST.load(Ordering::Relaxed),
        late: LATE.load(Ordering::Relaxed),
        ended: ENDED.load(Ordering::Relaxed),
        ..Totals::default()
    }
}

/// The copies that are done, one after the other.
pub(super) fn take() -> impl Iterator<Item = (Looked, Snapshot)> {
    RING.get().into_iter().flat_map(ThreadCopies::take)
}

/// The handler.
#[allow(unsafe_code, reason = "called by the kernel")]
unsafe extern "C" fn handle(_signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: `claim` installed this handler, and the pointer is the kernel's.
    let Some(value) = (unsafe { received(info) }) else {
        return;
    };
    // SAFETY: with SA_SIGINFO the kernel passes the interrupted state.
    let context = unsafe { &*context.cast::<libc::ucontext_t>() };
    if signal_frames::has_left_its_call(context) {
        ENDED.fetch_add(1, Ordering::Relaxed);
    }
    let recording = RECORDING.load(Ordering::Acquire);
    if recording == 0 || value >> 16 != recording {
        return;
    }
    let Some(sampled) = SAMPLED.get((value & 0xffff) as usize) else {
        return;
    };
    let began = timer::clock();
    // SAFETY: the C library's variable of this thread.
    let errno = unsafe { *libc::__errno_location() };
    let count = due(sampled);
    if count > 0 {
        copy(sampled, context, count);
    }
    let spent = timer::clock().saturating_sub(began);
    sampled.spent.fetch_add(spent, Ordering::Relaxed);
    sampled.asked.store(false, Ordering::Release);
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
}

/// For how many periods a sample stands: for those that have passed, or those that the thread has used of a CPU.
fn due(sampled: &SampledThread) -> u32 {
    let owed = sampled.owed.swap(0, Ordering::Relaxed);
    LATE.fetch_add(u64::from(owed.saturating_sub(1)), Ordering::Relaxed);
    if sampled.only_cpu.load(Ordering::Relaxed) == 0 {
        return owed;
    }
    let (now, period) = (own_cpu(), PERIOD.load(Ordering::Relaxed).max(1));
    let used = now.saturating_sub(sampled.cpu.swap(now, Ordering::Relaxed));
    let due = sampled.due.load(Ordering::Relaxed) + used;
    sampled.due.store(due % period, Ordering::Relaxed);
    u32::try_from(due / period).unwrap_or(u32::MAX)
}

fn copy(sampled: &SampledThread, context: &libc::ucontext_t, count: u32) {
    let looked = Looked {
        tid: sampled.tid.load(Ordering::Relaxed),
        count,
        futex: signal_frames::sleeps_in(context),
    };
    let floor = sampled.floor.load(Ordering::Relaxed);
    let is_copied = RING
        .get()
        .is_some_and(|ring| ring.put(context, floor, looked, |words| note(sampled, words)));
    if !is_copied {
        LOST.fetch_add(u64::from(count), Ordering::Relaxed);
    }
}

#[allow(unsafe_code, reason = "a function that is kept as a number")]
fn note(sampled: &SampledThread, words: &mut [usize]) -> usize {
    let note = NOTE.load(Ordering::Relaxed);
    // SAFETY: `open` stored a function of this type.
    let note = unsafe { std::mem::transmute::<usize, Note>(note) };
    note(sampled.argument.load(Ordering::Relaxed), words)
}
