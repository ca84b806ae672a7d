//! Steps through native code, one instruction after another, by the processor's trap flag: the slow and obvious way to
//! see which functions are entered.

use std::arch::asm;
use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

/// More steps than any test takes.
const MOST: usize = 1 << 20;

/// The addresses that are looked for, in order.
static STARTS: AtomicPtr<usize> = AtomicPtr::new(ptr::null_mut());
static COUNT: AtomicUsize = AtomicUsize::new(0);
/// Those that were reached.
static REACHED: AtomicPtr<usize> = AtomicPtr::new(ptr::null_mut());
static LENGTH: AtomicUsize = AtomicUsize::new(0);

/// Runs something step by step; gives the starts that were reached, in order.
#[allow(unsafe_code, reason = "the trap flag and the handler of its signal")]
pub fn stepped(mut starts: Vec<usize>, run: impl FnOnce()) -> Vec<usize> {
    starts.sort_unstable();
    let mut reached = vec![0; MOST];
    STARTS.store(starts.as_mut_ptr(), Ordering::Release);
    COUNT.store(starts.len(), Ordering::Release);
    REACHED.store(reached.as_mut_ptr(), Ordering::Release);
    LENGTH.store(0, Ordering::Release);
    // SAFETY: all zeroes is a valid `sigaction`.
    let (mut action, mut before): (libc::sigaction, libc::sigaction) =
        unsafe { std::mem::zeroed() };
    action.sa_sigaction = handle as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: `handle` has the signature that SA_SIGINFO asks for, and only writes to what was set above.
    unsafe { libc::sigaction(libc::SIGTRAP, &raw const action, &raw mut before) };
    // SAFETY: the flag makes the processor trap behind each instruction, and nothing else.
    unsafe { asm!("pushfq", "or qword ptr [rsp], 0x100", "popfq") };
    run();
    // SAFETY: as above.
    unsafe { asm!("pushfq", "and qword ptr [rsp], ~0x100", "popfq") };
    // SAFETY: the action was filled by the first call.
    unsafe { libc::sigaction(libc::SIGTRAP, &raw const before, ptr::null_mut()) };
    let length = LENGTH.load(Ordering::Acquire);
    assert!(length < MOST, "too many steps");
    reached.truncate(length);
    reached
}

/// Notes where the thread is.
#[allow(unsafe_code, reason = "called by the kernel")]
unsafe extern "C" fn handle(_: c_int, _: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: with SA_SIGINFO the kernel passes the interrupted state.
    let context = unsafe { &*context.cast::<libc::ucontext_t>() };
    let address = context.uc_mcontext.gregs[libc::REG_RIP as usize] as usize;
    let starts = STARTS.load(Ordering::Acquire);
    // SAFETY: `stepped` keeps the list of this length meanwhile.
    let starts = unsafe { std::slice::from_raw_parts(starts, COUNT.load(Ordering::Acquire)) };
    let at = LENGTH.load(Ordering::Relaxed);
    if at < MOST && starts.binary_search(&address).is_ok() {
        // SAFETY: there is room for `MOST` of them.
        unsafe { *REACHED.load(Ordering::Acquire).add(at) = address };
        LENGTH.store(at + 1, Ordering::Release);
    }
}
