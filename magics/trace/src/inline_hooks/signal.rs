//! The signal that stops a thread, and what the thread does then.
//!
//! A thread that stands between two instructions that are to be moved goes on at their copies, which do the same whether
//! the code is changed or not. Then it waits. The handler takes no lock and allocates nothing.

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, AtomicU64, Ordering};

use diaphane_sight::unwind::{Unsent, all_but_faults, claim, received, send};
use rustix::thread::futex;

use super::List;
use crate::arch::signal_frames;

/// How many threads can be stopped.
pub(super) const MOST: usize = 2048;

/// The phases of a slot, in the lowest bits; the rest is the number of the stop.
pub(super) mod phase {
    pub(crate) const CLOSED: u64 = 0;
    pub(crate) const ASKED: u64 = 1;
    pub(crate) const BUSY: u64 = 2;
    pub(crate) const WAITS: u64 = 3;
    /// It stands where no instruction begins.
    pub(crate) const LOST: u64 = 4;
}

/// One for each thread that is asked.
pub(super) static SLOTS: [AtomicU64; MOST] = [const { AtomicU64::new(0) }; MOST];
/// The number of the stop that lasts; 0 while all run.
pub(super) static STOPPED: AtomicU32 = AtomicU32::new(0);
/// Rises with each answer.
pub(super) static STOP_ANSWERS: AtomicU32 = AtomicU32::new(0);
/// The libraries whose code will be changed.
pub(super) static LIBRARIES: AtomicPtr<List> = AtomicPtr::new(std::ptr::null_mut());
/// The signal that is ours; 0 before the first stop.
static SIGNAL: AtomicI32 = AtomicI32::new(0);

/// Asks a thread to stop.
pub(super) fn ask(tid: i32, signal: c_int, stop: u32, index: usize) -> Result<(), Unsent> {
    send(tid, signal, u64::from(stop) << 32 | index as u64)
}

/// The signal with our handler; `None` where every real-time signal has an owner.
pub(super) fn handled() -> Option<c_int> {
    claim(&SIGNAL, handle, libc::SA_RESTART)
}

/// Runs something while this thread gets no signal, since their handlers may run what is being changed.
#[allow(unsafe_code, reason = "the mask has no safe interface here")]
pub(super) fn without_signals<T>(run: impl FnOnce() -> T) -> T {
    let mask = *all_but_faults().as_ref();
    // SAFETY: all zeroes is a valid set.
    let mut before: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: both sets are valid.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const mask, &raw mut before) };
    let result = run();
    // SAFETY: `before` was filled by the call above.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut()) };
    result
}

/// The handler.
#[allow(unsafe_code, reason = "called by the kernel")]
unsafe extern "C" fn handle(_signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes it to the handler that `claim` has installed.
    let Some(value) = (unsafe { received(info) }) else {
        return;
    };
    let (stop, index) = ((value >> 32) as u32, value as u32 as usize);
    let Some(slot) = SLOTS.get(index) else { return };
    let count = u64::from(stop) << 3;
    let claimed = slot.compare_exchange(
        count | phase::ASKED,
        count | phase::BUSY,
        Ordering::AcqRel,
        Ordering::Acquire,
    );
    if claimed.is_err() {
        return;
    }
    // SAFETY: the C library's variable of this thread.
    let errno = unsafe { *libc::__errno_location() };
    // SAFETY: with SA_SIGINFO the kernel passes the interrupted state, which nobody else uses.
    let context = unsafe { &mut *context.cast::<libc::ucontext_t>() };
    let found = signal_frames::move_out(context, moved);
    let phase = if found { phase::WAITS } else { phase::LOST };
    slot.store(count | phase, Ordering::Release);
    STOP_ANSWERS.fetch_add(1, Ordering::Release);
    let _ = futex::wake(&STOP_ANSWERS, futex::Flags::PRIVATE, 1);
    while STOPPED.load(Ordering::Acquire) == stop {
        let _ = futex::wait(&STOPPED, futex::Flags::PRIVATE, stop, None);
    }
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
}

/// Where code goes on that stands in a moved instruction; `Ok(None)` if it stands elsewhere.
#[allow(unsafe_code, reason = "the list is published as a raw pointer")]
fn moved(code: usize) -> Result<Option<usize>, ()> {
    // SAFETY: it points at a slice that lives for ever.
    let libraries = unsafe { LIBRARIES.load(Ordering::Acquire).as_ref() };
    let mut libraries = libraries.into_iter().flat_map(|list| list.iter());
    let patch = libraries.find_map(|library| library.inside(code));
    match patch {
        None => Ok(None),
        Some(patch) => patch.moved(code).map(Some).ok_or(()),
    }
}
