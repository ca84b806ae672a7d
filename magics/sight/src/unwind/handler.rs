//! A signal that nobody else uses, with a handler of ours: claimed, sent to one thread with a value, received.
//!
//! The handler stays installed, since a late signal would end the process without it.

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

use nix::sys::signal::{SigSet, Signal};

/// Among so many of the last signals are ours, unless other programs use them.
const LAST: usize = 8;
const FAULTS: [Signal; 5] = [
    Signal::SIGSEGV,
    Signal::SIGBUS,
    Signal::SIGILL,
    Signal::SIGFPE,
    Signal::SIGABRT,
];

/// All signals but those of faults: one that is blocked ends the process all the same, and nobody could tell of it.
#[must_use]
pub fn all_but_faults() -> SigSet {
    let mut set = SigSet::all();
    FAULTS.into_iter().for_each(|fault| set.remove(fault));
    set
}

/// The signals whose handlers are ours, a bit for each: without its handler one that is on its way ends the process.
static OURS: AtomicU64 = AtomicU64::new(0);

/// None for a number that is no signal's.
fn bit(signal: c_int) -> u64 {
    let place = signal.wrapping_sub(1).cast_unsigned();
    1_u64.checked_shl(place).unwrap_or(0)
}

/// Says that the handler of a signal is ours, and has to stay.
pub fn keep(signal: c_int) {
    OURS.fetch_or(bit(signal), Ordering::SeqCst);
}

/// Says that nothing comes any more, or that another handler has taken its place.
pub fn let_go(signal: c_int) {
    OURS.fetch_and(!bit(signal), Ordering::SeqCst);
}

/// Whether a handler of ours has to stay, when a program installs `wanted`: it does where the program wants none. Another
/// one takes its place, and the signal is not sent any more.
#[must_use]
pub fn stays(signal: c_int, wanted: usize) -> bool {
    let is_ours = OURS.load(Ordering::SeqCst) & bit(signal) != 0;
    if is_ours && wanted != libc::SIG_DFL {
        let_go(signal);
    }
    is_ours && wanted == libc::SIG_DFL
}

/// What runs when the signal comes.
pub type Handler = unsafe extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);

/// The signal with this handler, which is another one where somebody has replaced it; `None` where every real-time signal
/// has an owner. `known` remembers the signal, and begins as 0. `calls` is `SA_RESTART` where Linux begins a system call
/// again that the signal has ended, and else 0.
///
/// The handler must be safe in a signal handler.
#[allow(unsafe_code, reason = "sigaction has no safe interface")]
pub fn claim(known: &AtomicI32, handler: Handler, calls: c_int) -> Option<c_int> {
    let current = |signal| {
        // SAFETY: all zeroes is a valid `sigaction`, which the call overwrites.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        // SAFETY: nothing is installed, and `action` is writable.
        let asked = unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut action) };
        (asked == 0).then_some(action.sa_sigaction)
    };
    let ours = handler as *const () as usize;
    let before = known.load(Ordering::Relaxed);
    let kept = (before != 0 && current(before) == Some(ours)).then_some(before);
    // From the last one, since other programs count from the first.
    let mut signals = (libc::SIGRTMIN()..=libc::SIGRTMAX()).rev();
    let free = || signals.find(|&signal| current(signal) == Some(libc::SIG_DFL));
    let signal = kept.or_else(free)?;
    // SAFETY: all zeroes is a valid `sigaction`.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = ours;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | calls;
    action.sa_mask = *all_but_faults().as_ref();
    // Who records system calls gets them by this signal, and its handler does not mind where.
    // SAFETY: the set is writable.
    unsafe { libc::sigdelset(&raw mut action.sa_mask, libc::SIGSYS) };
    // SAFETY: `handler` has the signature that SA_SIGINFO asks for.
    let installed =
        unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) } == 0;
    known.store(if installed { signal } else { 0 }, Ordering::Relaxed);
    if installed {
        keep(signal);
    }
    installed.then_some(signal)
}

/// Leaves signals to the threads of the user's: the calling one takes none but those of faults, and the last real-time ones, by which recordings stop it.
#[allow(unsafe_code, reason = "the mask has no safe interface here")]
pub fn leave_signals() {
    let mut set = *all_but_faults().as_ref();
    for signal in (libc::SIGRTMIN()..=libc::SIGRTMAX()).rev().take(LAST) {
        // SAFETY: the set is writable.
        unsafe { libc::sigdelset(&raw mut set, signal) };
    }
    // SAFETY: the set is valid.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut()) };
}

/// What the kernel passes on to a handler, up to the sender's value.
#[repr(C)]
struct Message {
    signal: c_int,
    errno: c_int,
    code: c_int,
    padding: c_int,
    process: libc::pid_t,
    user: libc::uid_t,
    value: u64,
    rest: [u64; 12],
}

/// Why a signal did not reach a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsent {
    /// The thread has ended.
    Gone,
    /// The kernel refuses, for example since too many signals wait.
    Denied,
}

/// Sends the signal to one thread of this process, with a value for its handler.
///
/// # Errors
/// If the kernel does not take it.
#[allow(unsafe_code, reason = "the C library has no function for it")]
pub fn send(tid: i32, signal: c_int, value: u64) -> Result<(), Unsent> {
    if OURS.load(Ordering::SeqCst) & bit(signal) == 0 {
        // The program's own handler would take it for somebody's message.
        return Err(Unsent::Denied);
    }
    let process = std::process::id().cast_signed();
    let message = Message {
        signal,
        errno: 0,
        code: libc::SI_QUEUE,
        padding: 0,
        process,
        user: rustix::process::getuid().as_raw(),
        value,
        rest: [0; 12],
    };
    // SAFETY: the kernel reads a `siginfo_t` from `message`, which is as large.
    let sent = unsafe {
        libc::syscall(
            libc::SYS_rt_tgsigqueueinfo,
            process,
            tid,
            signal,
            &raw const message,
        )
    };
    match std::io::Error::last_os_error().raw_os_error() {
        _ if sent == 0 => Ok(()),
        Some(libc::ESRCH) => Err(Unsent::Gone),
        _ => Err(Unsent::Denied),
    }
}

/// The value with which this process sent the signal; `None` if it came from elsewhere.
///
/// # Safety
/// `info` is what the kernel passed to a handler that was installed by [`claim`].
#[allow(unsafe_code, reason = "the kernel passes a pointer")]
pub unsafe fn received(info: *mut libc::siginfo_t) -> Option<u64> {
    // SAFETY: the kernel passes a message of this layout.
    let message = unsafe { &*info.cast::<Message>() };
    let is_ours =
        message.code == libc::SI_QUEUE && message.process == std::process::id().cast_signed();
    is_ours.then_some(message.value)
}
