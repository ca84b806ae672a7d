//! Where threads put copies of themselves, in the handler of the sampler's signal.
//!
//! The handler takes no lock and allocates nothing: it claims a free slot, copies registers and stack into it through the
//! kernel, and says that it is done. The slots stay for the next recording, since a late signal may still be on its way;
//! it finds another recording's number, and leaves.

use diaphane_forks::ForkOnce;
use std::cell::UnsafeCell;
use std::ffi::{c_int, c_void};
use std::sync::atomic::{
    AtomicBool, AtomicI32, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering,
};

use diaphane_sight::proc::spans;
use diaphane_sight::unwind::{DEPTH, Registers, Snapshot, WORDS, claim, interrupted, received};

use super::timer::{self, own_cpu};
use super::{Clock, SamplerRefused, Totals};
use crate::arch::signal_frames;

/// How many copies wait at most.
const SLOTS: usize = 128;
/// How many threads are watched at once.
pub(super) const MOST_THREADS: usize = 512;

/// How far beyond the floor stacks are copied, for the return address of the last call that is looked at.
const MARGIN: usize = 1024;

mod phase {
    pub(super) const FREE: u8 = 0;
    pub(super) const BUSY: u8 = 1;
    pub(super) const DONE: u8 = 2;
}

struct SamplerSlot {
    phase: AtomicU8,
    copy: UnsafeCell<Copied>,
}

/// What the handler writes.
struct Copied {
    tid: i32,
    count: u32,
    futex: Option<usize>,
    registers: Registers,
    stack: Vec<u8>,
    length: usize,
    words: Vec<usize>,
    noted: usize,
    floor: usize,
}

// SAFETY: `copy` belongs to whom `phase` says: to the handler that moved it from free to busy, and to the sampling
// thread while it is done.
#[allow(unsafe_code, reason = "the phase says who may touch the copy")]
unsafe impl Sync for SamplerSlot {}

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
static RING: ForkOnce<Vec<SamplerSlot>> = ForkOnce::new();
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

impl SamplerSlot {
    fn new() -> Self {
        Self {
            phase: AtomicU8::new(phase::FREE),
            copy: UnsafeCell::new(Copied {
                tid: 0,
                count: 0,
                futex: None,
                registers: Registers::NONE,
                // Pages that no stack reaches stay untouched.
                stack: vec![0; DEPTH],
                length: 0,
                words: vec![0; WORDS],
                noted: 0,
                floor: 0,
            }),
        }
    }
}

/// What a thread notes.
type Note = fn(usize, &mut [usize]) -> usize;

/// Makes room, and gives the signal.
pub(super) fn open(note: Note, clock: Clock, hz: u32) -> Result<c_int, SamplerRefused> {
    RING.get_or_init(|| (0..SLOTS).map(|_| SamplerSlot::new()).collect());
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
    let busy = || {
        let mut slots = RING.get().into_iter().flatten();
        slots.any(|slot| slot.phase.load(Ordering::Acquire) == phase::BUSY)
    };
    // A thread that was stopped inside of the handler, as by a debugger, is not waited for.
    for _ in 0..1000 {
        if !busy() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_micros(50));
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

/// A copy that a thread made of itself.
pub(super) struct Taken {
    pub tid: i32,
    pub count: u32,
    /// What the system call waits for in which it sleeps, if it does.
    pub futex: Option<usize>,
    pub copy: Snapshot,
}

/// The copies that are done, one after the other.
#[allow(unsafe_code, reason = "the phase says who may touch the copy")]
pub(super) fn take() -> impl Iterator<Item = Taken> {
    let slots = RING.get().into_iter().flatten();
    slots.filter_map(|slot| {
        if slot.phase.load(Ordering::Acquire) != phase::DONE {
            return None;
        }
        let taken = {
            // SAFETY: the handler has said that it is done, and only the sampling thread takes.
            let copy = unsafe { &*slot.copy.get() };
            Taken {
                tid: copy.tid,
                count: copy.count,
                futex: copy.futex,
                copy: Snapshot {
                    registers: copy.registers,
                    start: copy.registers.stack().unwrap_or(0),
                    stack: copy.stack[..copy.length].to_vec(),
                    noted: copy.words[..copy.noted.min(WORDS)].to_vec(),
                    signalled: true,
                    floor: (copy.floor != 0).then_some(copy.floor),
                },
            }
        };
        slot.phase.store(phase::FREE, Ordering::Release);
        Some(taken)
    })
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

#[allow(unsafe_code, reason = "the phase says who may touch the copy")]
fn copy(sampled: &SampledThread, context: &libc::ucontext_t, count: u32) {
    let free = |slot: &&SamplerSlot| {
        let (free, busy) = (phase::FREE, phase::BUSY);
        slot.phase
            .compare_exchange(free, busy, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    };
    let Some(slot) = RING.get().and_then(|ring| ring.iter().find(free)) else {
        LOST.fetch_add(u64::from(count), Ordering::Relaxed);
        return;
    };
    // SAFETY: this handler has moved the slot from free to busy.
    let copy = unsafe { &mut *slot.copy.get() };
    let registers = interrupted(context);
    let stack = registers.stack().unwrap_or(0);
    copy.floor = sampled.floor.load(Ordering::Relaxed);
    // A signal on a stack of its own has nothing to do with the thread's.
    if copy.floor <= stack {
        copy.floor = 0;
    }
    let most = match copy.floor {
        0 => DEPTH,
        floor => DEPTH.min(floor - stack + MARGIN),
    };
    copy.tid = sampled.tid.load(Ordering::Relaxed);
    copy.count = count;
    copy.futex = signal_frames::sleeps_in(context);
    copy.registers = registers;
    copy.length = spans::read(stack, &mut copy.stack[..most]).unwrap_or(0);
    let note = NOTE.load(Ordering::Relaxed);
    // SAFETY: `open` stored a function of this type.
    let note = unsafe { std::mem::transmute::<usize, Note>(note) };
    copy.noted = note(sampled.argument.load(Ordering::Relaxed), &mut copy.words);
    slot.phase.store(phase::DONE, Ordering::Release);
}
