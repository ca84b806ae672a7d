//! The action of SIGTRAP: ours is put before the one that was there, which gets all signals that are not ours.

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use diaphane_sight::unwind::{Handler, all_but_faults, handler};

/// Where other signals of this number go: the handler, and its flags.
static BEFORE: AtomicUsize = AtomicUsize::new(libc::SIG_DFL);
static BEFORE_FLAGS: AtomicI32 = AtomicI32::new(0);

/// Installs the handler, and remembers the one that was there, unless it is installed.
#[allow(unsafe_code, reason = "sigaction has no safe interface")]
pub(super) fn install(handler: Handler) -> std::io::Result<()> {
    if is_installed(handler) {
        return Ok(());
    }
    // SAFETY: all zeroes is a valid `sigaction`.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
    action.sa_mask = *all_but_faults().as_ref();
    // Who records system calls gets them by this signal, and its handler does not mind where.
    // SAFETY: the set is writable.
    unsafe { libc::sigdelset(&raw mut action.sa_mask, libc::SIGSYS) };
    // SAFETY: all zeroes is a valid `sigaction`, which the call overwrites.
    let mut before: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: `handler` has the signature that SA_SIGINFO asks for.
    let installed = unsafe { libc::sigaction(libc::SIGTRAP, &raw const action, &raw mut before) };
    if installed != 0 {
        return Err(std::io::Error::last_os_error());
    }
    BEFORE.store(before.sa_sigaction, Ordering::Relaxed);
    BEFORE_FLAGS.store(before.sa_flags, Ordering::Relaxed);
    Ok(())
}

/// Whether this is the handler now.
pub(super) fn is_installed(handler: Handler) -> bool {
    current().is_some_and(|action| action.sa_sigaction == handler as *const () as usize)
}

#[allow(unsafe_code, reason = "sigaction has no safe interface")]
fn current() -> Option<libc::sigaction> {
    // SAFETY: all zeroes is a valid `sigaction`, which the call overwrites.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: nothing is installed, and `action` is writable.
    let asked = unsafe { libc::sigaction(libc::SIGTRAP, std::ptr::null(), &raw mut action) };
    (asked == 0).then_some(action)
}

/// Does what would have been done without us.
///
/// # Safety
/// The arguments are those of a handler.
#[allow(unsafe_code, reason = "the handler of somebody else")]
pub(super) unsafe fn pass_on(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let before = BEFORE.load(Ordering::Relaxed);
    match before {
        libc::SIG_IGN => {}
        libc::SIG_DFL => {
            handler::let_go(signal);
            // SAFETY: the action is a default one; the signal ends the process when this handler returns.
            unsafe {
                libc::signal(signal, libc::SIG_DFL);
                libc::raise(signal);
            }
        }
        _ if BEFORE_FLAGS.load(Ordering::Relaxed) & libc::SA_SIGINFO != 0 => {
            type WithInfo = unsafe extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);
            // SAFETY: it was installed with SA_SIGINFO, and so has this signature.
            unsafe { std::mem::transmute::<usize, WithInfo>(before)(signal, info, context) };
        }
        _ => {
            type Plain = unsafe extern "C" fn(c_int);
            // SAFETY: it was installed without SA_SIGINFO, and so has this signature.
            unsafe { std::mem::transmute::<usize, Plain>(before)(signal) };
        }
    }
}
