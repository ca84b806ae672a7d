//! The recording that runs: begun and ended by the thread whose calls are wanted.

#![allow(unsafe_code, reason = "the callback remembers in atomics")]

use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU64, AtomicUsize, Ordering};

use super::asm::call;
use super::dispatch::{arm, disarm, handle};
use super::handlers::{forget_others, settle};
use super::masks::{OURS, block, blocked, install, uninstall};
use super::read::read;
use super::state::{ThreadState, free_all, free_ended, live, of_generation, piece};
use crate::budget;
use crate::clock::{Moment, Scale};
use crate::syscalls::{SyscallPlan, SyscallRecording, SyscallsRefused};

/// The number of the recording that runs; 0 if none does.
pub(super) static ACTIVE: AtomicU64 = AtomicU64::new(0);
/// In its place while somebody takes the handler away.
const CLEANING: u64 = u64::MAX - 1;
/// How many bytes each thread may write.
pub(super) static CAPACITY: AtomicUsize = AtomicUsize::new(0);
/// The process that records. A forked child inherits all of this, and none of its threads is intercepted.
pub(super) static PROCESS: AtomicI32 = AtomicI32::new(0);
/// How many threads take no part, or only in the beginning.
pub(super) static LEFT_OUT: AtomicU64 = AtomicU64::new(0);
/// Whether pieces of stacks are copied.
pub(super) static STACKS: AtomicBool = AtomicBool::new(true);
/// Which calls are written down.
static ONLY: AtomicPtr<()> = AtomicPtr::new(std::ptr::null_mut());
/// How many were not.
static SKIPPED: AtomicU64 = AtomicU64::new(0);
/// What the callback does.
static NOTE: AtomicPtr<()> = AtomicPtr::new(std::ptr::null_mut());

/// The room for a place.
const PLACE: usize = 1024;

/// A recording that runs; it ends when this is dropped. It belongs to the thread that began it.
#[derive(Debug)]
#[must_use]
pub struct RunningSyscalls {
    generation: u64,
    began: Moment,
    state: &'static ThreadState,
    /// Whether the thread blocked SIGSYS before.
    blocked: bool,
    ended: bool,
    own: PhantomData<*const ()>,
}

/// Begins to record the system calls of the calling thread, and of those that it starts.
///
/// # Errors
/// When another recording runs, or the system does not let us.
#[inline(never)]
pub fn begin(plan: SyscallPlan) -> Result<RunningSyscalls, SyscallsRefused> {
    static GENERATIONS: AtomicU64 = AtomicU64::new(0);
    let process = std::process::id().cast_signed();
    if PROCESS.swap(process, Ordering::AcqRel) != process {
        forget_in_child();
    }
    let generation = GENERATIONS.fetch_add(1, Ordering::Relaxed) + 1;
    claim(u64::MAX)?;
    settle();
    budget::open();
    free_ended();
    CAPACITY.store(plan.capacity.next_multiple_of(4096), Ordering::Relaxed);
    LEFT_OUT.store(0, Ordering::Relaxed);
    let note = plan
        .callback
        .map_or(std::ptr::null_mut(), |callback| callback.note as *mut ());
    NOTE.store(note, Ordering::Relaxed);
    STACKS.store(plan.stacks, Ordering::Relaxed);
    let only = plan
        .only
        .map_or(std::ptr::null_mut(), |only| only as *mut ());
    ONLY.store(only, Ordering::Relaxed);
    SKIPPED.store(0, Ordering::Relaxed);
    let blocked = blocked() & OURS != 0;
    let began = Moment::now();
    let here = 0_u8;
    let floor = match plan.floor {
        0 => (&raw const here).addr(),
        floor => floor,
    };
    let state = ThreadState::claim(generation, floor);
    let state = state
        .ok_or(SyscallsRefused::Unsupported(libc::ENOMEM))
        .inspect_err(|_| {
            ACTIVE.store(0, Ordering::Release);
        })?;
    state.warm();
    let argument = plan.callback.map_or(0, |callback| callback.argument);
    state.callback.store(argument, Ordering::Relaxed);
    let mut running = RunningSyscalls {
        generation,
        began,
        state,
        blocked,
        ended: false,
        own: PhantomData,
    };
    let installed = install(handle as *const () as usize);
    block(false);
    ACTIVE.store(generation, Ordering::Release);
    let armed = if installed {
        arm(state)
    } else {
        -libc::EPERM as isize
    };
    if armed != 0 {
        running.stop();
        return Err(SyscallsRefused::Unsupported(-armed as i32));
    }
    Ok(running)
}

impl RunningSyscalls {
    /// Ends it and gives what was recorded. In a child that was forked meanwhile there is nothing.
    pub fn end(mut self) -> SyscallRecording {
        self.stop();
        let is_own = is_own();
        let ended = Moment::now();
        let scale = Scale::between(self.began, ended);
        let mut recording = SyscallRecording {
            forked: !is_own,
            skipped: SKIPPED.load(Ordering::Relaxed),
            left_out: LEFT_OUT.load(Ordering::Relaxed),
            elapsed_ns: scale.nanoseconds(ended.ticks - self.began.ticks),
            ..SyscallRecording::default()
        };
        if is_own {
            for state in of_generation(self.generation) {
                let tid = state.owner.load(Ordering::Relaxed);
                recording.lost += state.lost.load(Ordering::Relaxed);
                recording.threads.push(tid);
                recording.still_running += usize::from(state.is_live());
                read(tid, state.log(), self.began.ticks, scale, &mut recording);
            }
            recording.calls.sort_by_key(|call| call.began_ns);
            free_ended();
        }
        recording
    }

    fn stop(&mut self) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let is_own = is_own();
        if is_own {
            disarm(self.state);
        }
        let _ = ACTIVE.compare_exchange(self.generation, 0, Ordering::AcqRel, Ordering::Relaxed);
        if is_own {
            clean_up();
        } else {
            uninstall(handle as *const () as usize);
        }
        block(self.blocked || self.state.blocks.load(Ordering::Relaxed));
    }
}

impl Drop for RunningSyscalls {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Takes the place of the recording that runs, if none does.
fn claim(value: u64) -> Result<(), SyscallsRefused> {
    loop {
        match ACTIVE.compare_exchange(0, value, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => return Ok(()),
            Err(CLEANING) => drop(call(libc::SYS_sched_yield, [0; 6])),
            Err(_) => return Err(SyscallsRefused::Busy),
        }
    }
}

/// Takes the handler away, if no recording runs and every thread has noticed; the last one does it. It may run in the
/// handler itself.
pub(super) fn clean_up() {
    if claim(CLEANING).is_ok() {
        if live() == 0 {
            uninstall(handle as *const () as usize);
        }
        ACTIVE.store(0, Ordering::Release);
    }
}

/// Whether this is the process that began.
fn is_own() -> bool {
    PROCESS.load(Ordering::Relaxed) == call(libc::SYS_getpid, [0; 6]) as i32
}

/// In a forked child, nothing is recorded and no thread takes part. It may run in the handler.
pub(super) fn forget_in_child() {
    ACTIVE.store(0, Ordering::Release);
    free_all();
    forget_others();
}

/// Whether a call is written down.
pub(super) fn is_wanted(number: i64) -> bool {
    let only = ONLY.load(Ordering::Relaxed);
    if only.is_null() {
        return true;
    }
    // SAFETY: `begin` took the address from such a function.
    let only = unsafe { std::mem::transmute::<*mut (), fn(i64) -> bool>(only) };
    let is_wanted = only(number);
    if !is_wanted {
        SKIPPED.fetch_add(1, Ordering::Relaxed);
    }
    is_wanted
}

/// Notes where the interpreter is.
pub(super) fn callback(state: &ThreadState) {
    let argument = state.callback.load(Ordering::Relaxed);
    let note = NOTE.load(Ordering::Relaxed);
    if argument == 0 || note.is_null() {
        return;
    }
    type Note = fn(usize, &mut [usize; 2], &mut [u8]) -> usize;
    // SAFETY: `begin` took the address from such a function.
    let note = unsafe { std::mem::transmute::<*mut (), Note>(note) };
    let mut seen = [0, 1].map(|index| state.seen[index].load(Ordering::Relaxed));
    let before = seen;
    let mut wrote = 0;
    let at = state.append(piece::PLACE, None, 0, PLACE, |buffer| {
        wrote = note(argument, &mut seen, buffer);
        wrote
    });
    for (place, word) in state.seen.iter().zip(seen) {
        place.store(word, Ordering::Relaxed);
    }
    match at {
        Some(at) if wrote > 0 => state.place.store(at + 1, Ordering::Relaxed),
        // It has moved, and found no room or no words.
        _ if seen != before => state.place.store(0, Ordering::Relaxed),
        _ => {}
    }
}
