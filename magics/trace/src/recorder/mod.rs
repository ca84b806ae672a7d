//! The recorder: hooks call it, and it appends events to the log of the thread that runs.
//!
//! One recording runs at a time. The recorder neither knows nor places hooks; without any, a recording is empty but for
//! what is given to `note`.

mod ahead;
pub mod argument_capture;
#[path = "../arch/recorder.rs"]
mod asm;
pub mod functions;
mod room;
mod writer;

use diaphane_forks::ForkOnce;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::budget;
use crate::clock::{Moment, Scale};
use crate::event::{Event, Log, kind};

use asm::{SavedRegisters, VectorRegisters};
use writer::{ACTIVE, CAPACITY, LEFT_OUT, PLACE, Writer, collect, free_ended};

pub use ahead::{Ahead, EventAllowance};
pub use asm::{common, common_by_choice, common_with_words};

/// How a recording is to be made.
#[derive(Debug, Clone, Copy)]
pub struct RecorderPlan {
    /// How many events each thread may write.
    pub capacity: usize,
    /// Where the calling thread's interpreter keeps its place.
    pub place: Option<Place>,
    /// Whether hooks at entries keep the arguments of functions that `argument_capture` knows of.
    pub words: bool,
}

/// How to find the instruction that an interpreter is at: `*(*(*root + through) + instruction)`.
///
/// The whole chain must hold whenever the thread runs any code, for as long as the recording; only the frame, the last
/// pointer but one, may be null.
#[derive(Debug, Clone, Copy, Default)]
pub struct Place {
    /// The address of a pointer.
    pub root: usize,
    /// How far behind its target the pointer to the frame is.
    pub through: usize,
    /// How far into the frame the pointer to the instruction is.
    pub instruction: usize,
    /// How far into the frame the pointer to its caller's frame is.
    pub previous: usize,
    /// How far into a frame the byte is that says whose it is, and from which number on it is no function's of Python.
    pub owner: Option<(usize, u8)>,
}

/// What was recorded.
#[derive(Debug)]
pub struct CallRecording {
    /// One for each thread that did something.
    pub logs: Vec<Log>,
    /// What the times are in nanoseconds.
    pub scale: Scale,
    /// When it began, in ticks.
    pub started: u64,
    /// When it ended, in ticks.
    pub ended: u64,
    /// When it was paused for the rest of its time, in ticks.
    pub paused: Option<u64>,
    /// What one event costs, as measured here.
    pub event_ns: f64,
    /// What one costs that is counted only.
    pub counted_ns: f64,
    /// What a hook costs while the recording is paused.
    pub paused_ns: f64,
    /// How many threads could not take part.
    pub left_out: u64,
}

/// Why nothing is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecorderRefused {
    /// There is one recorder.
    #[error("another recording is running")]
    Busy,
}

/// A recording that runs; it ends when this is dropped.
#[derive(Debug)]
#[must_use]
pub struct RunningRecorder {
    generation: u64,
    began: Moment,
    costs: EventCosts,
}

/// The fewest nanoseconds that an event was seen to take, one that is counted only, and a hook that has nothing to do.
#[derive(Debug, Clone, Copy)]
struct EventCosts {
    event_ns: f64,
    counted_ns: f64,
    paused_ns: f64,
}

static GENERATIONS: AtomicU64 = AtomicU64::new(0);
/// The recording that has begun and not ended, also while it is paused; 0 if there is none.
static HELD: AtomicU64 = AtomicU64::new(0);
/// When it was paused; 0 if it is not.
static PAUSED: AtomicU64 = AtomicU64::new(0);

/// Begins.
pub fn begin(plan: RecorderPlan) -> Result<RunningRecorder, RecorderRefused> {
    let generation = GENERATIONS.fetch_add(1, Ordering::Relaxed) + 1;
    let free = HELD.compare_exchange(0, generation, Ordering::AcqRel, Ordering::Relaxed);
    free.map_err(|_| RecorderRefused::Busy)?;
    ACTIVE.store(u64::MAX, Ordering::Release);
    PAUSED.store(0, Ordering::Relaxed);
    budget::open();
    free_ended();
    let costs = *COSTS.get_or_init(|| costs(u64::MAX));
    CAPACITY.store(plan.capacity, Ordering::Relaxed);
    LEFT_OUT.store(0, Ordering::Relaxed);
    let place = plan.place.unwrap_or_default();
    let tid = rustix::thread::gettid().as_raw_nonzero().get();
    PLACE.tid.store(tid, Ordering::Relaxed);
    PLACE.root.store(place.root, Ordering::Relaxed);
    PLACE.through.store(place.through, Ordering::Relaxed);
    PLACE.previous.store(place.previous, Ordering::Relaxed);
    let (owner, first_of_c) = place.owner.unwrap_or_default();
    PLACE.owner.store(owner, Ordering::Relaxed);
    PLACE.first_of_c.store(first_of_c, Ordering::Relaxed);
    PLACE
        .instruction
        .store(place.instruction, Ordering::Relaxed);
    asm::choose_words(plan.words);
    ACTIVE.store(generation, Ordering::Release);
    if let Some(writer) = Writer::mine() {
        writer.warm();
    }
    let began = Moment::now();
    Ok(RunningRecorder {
        generation,
        began,
        costs,
    })
}

impl RunningRecorder {
    /// Ends it and gives what was recorded.
    pub fn end(self) -> CallRecording {
        stop(self.generation);
        let ended = Moment::now();
        CallRecording {
            logs: collect(self.generation),
            scale: Scale::between(self.began, ended),
            started: self.began.ticks,
            ended: ended.ticks,
            paused: Some(PAUSED.load(Ordering::Relaxed)).filter(|&paused| paused != 0),
            event_ns: self.costs.event_ns,
            counted_ns: self.costs.counted_ns,
            paused_ns: self.costs.paused_ns,
            left_out: LEFT_OUT.load(Ordering::Relaxed),
        }
    }
}

impl Drop for RunningRecorder {
    fn drop(&mut self) {
        stop(self.generation);
    }
}

fn stop(generation: u64) {
    // Another one may run already, if this one was stopped by a fork.
    let _ = ACTIVE.compare_exchange(generation, 0, Ordering::AcqRel, Ordering::Relaxed);
    let _ = HELD.compare_exchange(generation, 0, Ordering::AcqRel, Ordering::Relaxed);
}

/// Has the hooks of the recording that runs do nothing for the rest of its time: it has enough.
fn pause() {
    let generation = ACTIVE.load(Ordering::Acquire);
    let held = HELD.load(Ordering::Relaxed);
    if generation != 0 && generation == held {
        PAUSED.store(crate::clock::ticks(), Ordering::Relaxed);
        let _ = ACTIVE.compare_exchange(generation, 0, Ordering::AcqRel, Ordering::Relaxed);
    }
}

/// Has the events of the calling thread counted only, until `unmute`: what it does is no part of the answer.
pub fn mute() {
    if let Some(writer) = Writer::mine() {
        writer.mute();
    }
}

/// Has them written again.
pub fn unmute() {
    if let Some(writer) = Writer::mine() {
        writer.unmute();
    }
}

/// The number of the recording that runs, by which it can be told from later ones; 0 if nothing is recorded.
#[must_use]
pub fn running() -> u64 {
    ACTIVE.load(Ordering::Relaxed)
}

/// Ends the recording of a child process, which inherited it by a fork. Takes no lock and allocates nothing.
pub fn forget_after_fork() {
    ACTIVE.store(0, Ordering::Release);
    HELD.store(0, Ordering::Release);
}

/// Whether something is recorded.
#[must_use]
pub fn is_running() -> bool {
    ACTIVE.load(Ordering::Relaxed) != 0
}

/// Appends an event to the log of the calling thread, behind its place in the interpreter. The time is filled in.
#[allow(unsafe_code, reason = "events are written through raw pointers")]
pub fn note(event: Event) {
    let Some(writer) = Writer::mine() else { return };
    writer.note_place();
    if let Some(at) = writer.take(1) {
        let time = crate::clock::ticks();
        // SAFETY: `take` gives memory of this thread's own. Whoever collects meanwhile knows what is not finished.
        unsafe { at.write(Event { time, ..event }) };
    }
}

/// Appends an event that says that a function of the interpreter begins, behind the place of its caller.
#[allow(unsafe_code, reason = "events are written through raw pointers")]
pub fn note_entry(event: Event) {
    let Some(writer) = Writer::mine() else { return };
    writer.note_callers_place();
    if let Some(at) = writer.take(1) {
        let time = crate::clock::ticks();
        // SAFETY: as in `note`.
        unsafe { at.write(Event { time, ..event }) };
    }
}

/// A place in the log of the calling thread; by default its beginning.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mark(usize, u64);

/// Where the log of the calling thread ends.
#[must_use]
pub fn mark() -> Mark {
    let (used, lost) = Writer::mine().map_or((0, 0), Writer::end);
    Mark(used, lost)
}

/// Forgets what the calling thread did since a mark of its own in this recording.
pub fn forget_since(mark: Mark) {
    if let Some(writer) = Writer::mine() {
        writer.cut((mark.0, mark.1));
    }
}

/// A thread's first event, or one that finds no room, from the assembly.
#[allow(
    unsafe_code,
    reason = "called by the assembly, and writes through raw pointers"
)]
unsafe extern "C" fn slow(saved: &SavedRegisters) {
    let Some(writer) = Writer::mine() else { return };
    writer.make_room();
    writer.note_place();
    if let Some(at) = writer.take(1) {
        // SAFETY: as in `note`.
        unsafe { at.write(saved.event(0)) };
    }
}

/// An event with arguments, from the assembly.
#[allow(
    unsafe_code,
    reason = "called by the assembly, and writes through raw pointers"
)]
unsafe extern "C" fn words(saved: &SavedRegisters, state: &VectorRegisters) {
    let Some(writer) = Writer::mine() else { return };
    writer.note_place();
    let mut event = saved.event(0);
    let mut found = argument_capture::Words::default();
    argument_capture::read(event.id, saved, state, &mut found);
    let (id, words) = match found.as_slice() {
        [] => (kind::UNREADABLE, &[0][..]),
        words => (kind::WORDS, words),
    };
    let chunks = words.chunks(3);
    event.extra = chunks.len() as u32;
    let Some(at) = writer.take(1 + chunks.len()) else {
        return;
    };
    // SAFETY: as in `note`.
    unsafe { at.write(event) };
    for (index, chunk) in chunks.enumerate() {
        let word = |index: usize| chunk.get(index).copied().unwrap_or(0);
        let more = Event {
            time: word(0) as u64,
            id,
            extra: 0,
            stack: word(1),
            back: word(2),
        };
        // SAFETY: `take` gave room for all of them.
        unsafe { at.add(1 + index).write(more) };
    }
}

impl SavedRegisters {
    fn event(&self, extra: u32) -> Event {
        Event {
            time: crate::clock::ticks(),
            id: self.function(),
            extra,
            stack: (&raw const self.back).addr(),
            back: self.back,
        }
    }
}

static COSTS: ForkOnce<EventCosts> = ForkOnce::new();

/// Runs the recorder on this thread alone, in a recording of a number that no other has.
fn costs(generation: u64) -> EventCosts {
    const ROUNDS: usize = 4000;
    CAPACITY.store(2 * ROUNDS, Ordering::Relaxed);
    PLACE.tid.store(0, Ordering::Relaxed);
    ACTIVE.store(generation, Ordering::Release);
    let restart = || {
        if let Some(writer) = Writer::mine() {
            writer.restart();
        }
    };
    let least = |before: &dyn Fn()| {
        let nanoseconds = (0..5).map(|_| {
            before();
            let from = std::time::Instant::now();
            asm::call_often(ROUNDS);
            from.elapsed().as_nanos() as f64 / ROUNDS as f64
        });
        nanoseconds.fold(f64::NAN, f64::min)
    };
    let event_ns = least(&restart);
    mute();
    let counted_ns = least(&|| {});
    unmute();
    restart();
    ACTIVE.store(0, Ordering::Release);
    let paused_ns = least(&|| {});
    EventCosts {
        event_ns,
        counted_ns,
        paused_ns,
    }
}

/// Whether the recorder can be called by hooks on this processor.
#[must_use]
pub fn can_be_hooked() -> bool {
    asm::is_supported()
}
