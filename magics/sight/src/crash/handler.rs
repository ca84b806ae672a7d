//! The handler of the signals that end a process by a fault: it notes the fault in the black box, has it told, and lets
//! the process end as it would have ended.
//!
//! What runs here takes no lock and no memory of malloc's, and waits with a deadline only. The first thread that comes
//! is told of; others that fault meanwhile wait for the end. Of this thread, what comes again is the end.
#![allow(unsafe_code, reason = "signals get handlers")]

use std::cell::UnsafeCell;
use std::ffi::{CString, c_int, c_void};
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use libc::{
    SA_NODEFER, SA_ONSTACK, SA_SIGINFO, SIG_DFL, SIG_IGN, SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV,
    sigaction, siginfo_t, ucontext_t,
};

use super::black_box::{self, End};
use super::{alternate_stack, reader_process};

pub mod guest;
mod waits;

use waits::{wait, wait_for};

/// The signals.
pub const SIGNALS: [c_int; 5] = [SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT];

/// How long what was written before may take to be sent, in milliseconds.
const FLUSH: i64 = 2000;
/// How long it may take until all is told, where what was written before could be sent; a machine may be busy.
const TELL: i64 = 26_000;
/// How long where it could not.
const HURRY: i64 = 2000;
/// How long the last messages may take to leave, once they are handed over.
const LEAVE: i64 = 1000;
/// How long the others wait for the end.
const END: i64 = 30_000;

/// How far the telling is; the reporter counts it up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum Stage {
    /// Nothing has happened.
    Quiet = 0,
    /// What was written before is sent.
    Flushed = 1,
    /// The last messages are handed over.
    Told = 2,
    /// They have left.
    Left = 3,
}

/// The handlers that were there before.
struct Formers(UnsafeCell<[MaybeUninit<sigaction>; SIGNALS.len()]>);

#[allow(
    clippy::non_send_fields_in_send_ty,
    reason = "handlers are plain addresses"
)]
// SAFETY: it is written by the one thread that installs, before the handlers are there, and only read afterwards.
unsafe impl Sync for Formers {}

static FORMERS: Formers = Formers(UnsafeCell::new(
    [const { MaybeUninit::zeroed() }; SIGNALS.len()],
));

/// The thread that is told of.
static OWNER: AtomicI32 = AtomicI32::new(0);
/// The signal that came to it first.
static FIRST: AtomicI32 = AtomicI32::new(0);
/// Whether the handler that was there before is running now.
static IN_FORMER: AtomicU32 = AtomicU32::new(0);
/// The thread that tells.
static REPORTER: AtomicI32 = AtomicI32::new(0);
/// What wakes it: an eventfd.
static WAKER: AtomicI32 = AtomicI32::new(-1);
/// A [`Stage`], and a futex.
static STAGE: AtomicU32 = AtomicU32::new(0);

/// Makes a file that grows too large an error instead of the end of the process, as Python does when it starts.
pub fn let_files_be_refused() {
    // SAFETY: no code of ours runs for an ignored signal.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

/// Installs the handlers, for the calling thread and all that are started later by [`crate::threads::creation_records`].
pub fn install() {
    alternate_stack::begin();
    for number in 0..SIGNALS.len() {
        install_one(number);
    }
}

/// Installs the handler of one signal.
fn install_one(number: usize) {
    // SAFETY: an all-zero structure is a valid one.
    let mut action: sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = on_fault as *const () as usize;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    // SAFETY: an all-zero structure is a valid one.
    let mut former: sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: the handler has the form that SA_SIGINFO says.
    unsafe { libc::sigaction(SIGNALS[number], &raw const action, &raw mut former) };
    // SAFETY: only this thread installs, and no handler reads the table before there is a fault.
    unsafe { (*FORMERS.0.get())[number] = MaybeUninit::new(former) };
}

/// Forgets the handlers that were there before, which are those of Rust's own runtime: they would end the process by
/// another signal.
pub fn forget_formers() {
    // SAFETY: as in `install`.
    unsafe { *FORMERS.0.get() = [const { MaybeUninit::zeroed() }; SIGNALS.len()] };
}

/// Says who tells: this thread, which is woken by this eventfd.
pub fn set_reporter(tid: i32, waker: c_int) {
    WAKER.store(waker, Ordering::Relaxed);
    REPORTER.store(tid, Ordering::Release);
}

/// Says what reads this process when it dies: this program with these arguments, and where its output goes.
pub fn set_reader(arguments: Vec<CString>, output: c_int, errors: c_int) {
    let descriptor = CString::new(black_box::descriptor().to_string()).unwrap_or_default();
    let own = CString::new(std::process::id().to_string()).unwrap_or_default();
    let all = arguments.into_iter().chain([own, descriptor]).collect();
    reader_process::prepare(all, output, errors);
}

/// The reporter has come to a stage.
pub fn reach(stage: Stage) {
    STAGE.fetch_max(stage as u32, Ordering::AcqRel);
    // SAFETY: the address is a futex's.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            STAGE.as_ptr(),
            libc::FUTEX_WAKE,
            c_int::MAX,
        )
    };
}

/// Whether the process is about to end: who sees it frees no memory any more that others have allocated.
pub fn is_dying() -> bool {
    OWNER.load(Ordering::Acquire) != 0
}

/// Whether the calling thread is the one that tells.
pub fn is_reporter() -> bool {
    REPORTER.load(Ordering::Relaxed) == own_tid()
}

/// Says that the process is about to end by `exit`, and waits until that is told.
pub fn on_exit(status: c_int) {
    let Some(own) = black_box::writable().filter(|own| own.end() == End::None) else {
        return;
    };
    let tid = own_tid();
    if OWNER
        .compare_exchange(0, tid, Ordering::AcqRel, Ordering::Relaxed)
        .is_err()
    {
        return;
    }
    own.status.store(status, Ordering::Relaxed);
    own.set_end(End::Exit);
    tell(tid, false);
}

unsafe extern "C" fn on_fault(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel gives the information to handlers with SA_SIGINFO.
    let given = unsafe { &*info };
    let tid = own_tid();
    let mut next = None;
    match OWNER.compare_exchange(0, tid, Ordering::AcqRel, Ordering::Relaxed) {
        Ok(_) => {
            FIRST.store(signal, Ordering::Relaxed);
            record_no_more();
            if let Some(own) = black_box::writable() {
                // SAFETY: the kernel gives the context to handlers with SA_SIGINFO.
                let context = unsafe { &*context.cast::<ucontext_t>() };
                own.fault.note(tid, given, context);
                own.set_end(End::Fault);
            }
            IN_FORMER.store(1, Ordering::Release);
            if guest::is_guest() {
                // Whose signal it is gets it as if we were not there.
                next = former(signal);
            } else {
                // SAFETY: the arguments are the kernel's.
                unsafe { as_before(signal, info, context) };
            }
            finish(tid);
        }
        // From the handler that was there before, or because the fault came again.
        Err(owner) if owner == tid => {
            finish(tid);
            let first = FIRST.load(Ordering::Relaxed);
            if first != signal && !guest::is_guest() {
                // That handler has failed at telling: the process ends by what came first.
                // SAFETY: an all-zero structure is the default action.
                return hand_on(first, true, &unsafe { std::mem::zeroed() });
            }
        }
        Err(_) => {
            if tid == REPORTER.load(Ordering::Relaxed) {
                reach(Stage::Left);
            }
            wait(Stage::Left as u32 + 1, END);
        }
    }
    // SAFETY: an all-zero structure is the default action.
    let next = next.unwrap_or(unsafe { std::mem::zeroed() });
    hand_on(signal, given.si_code <= 0, &next);
}

/// Where a recording has this thread's system calls sent to a handler, that ends.
fn record_no_more() {
    const SYSCALL_USER_DISPATCH: c_int = 59;
    // SAFETY: it only changes how this thread calls the system, to what it is for all others.
    unsafe { libc::prctl(SYSCALL_USER_DISPATCH, 0, 0, 0, 0) };
}

/// Tells of the fault, unless that was done.
fn finish(tid: i32) {
    let is_due = IN_FORMER.swap(0, Ordering::AcqRel) == 1;
    if is_due && black_box::writable().is_some() && !guest::has_left() {
        tell(tid, true);
    }
}

/// Has somebody tell, and waits for that.
fn tell(tid: i32, read: bool) {
    raise_limits();
    let reporter = REPORTER.load(Ordering::Acquire);
    let tells = reporter != 0 && reporter != tid;
    if tells {
        let one = 1_u64;
        // SAFETY: an eventfd takes eight bytes.
        unsafe {
            libc::write(
                WAKER.load(Ordering::Relaxed),
                (&raw const one).cast(),
                size_of::<u64>(),
            )
        };
        wait(Stage::Flushed as u32, FLUSH);
    }
    let reader = if read { reader_process::start() } else { None };
    if tells {
        let is_flushed = STAGE.load(Ordering::Acquire) >= Stage::Flushed as u32;
        wait(Stage::Told as u32, if is_flushed { TELL } else { HURRY });
        wait(Stage::Left as u32, LEAVE);
    } else if let Some(reader) = reader {
        wait_for(reader);
    }
}

/// What is used up may be the process's own choice: then there is more for the last words.
fn raise_limits() {
    for resource in [libc::RLIMIT_AS, libc::RLIMIT_DATA, libc::RLIMIT_NOFILE] {
        let mut limit = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        // SAFETY: it is asked into a structure of our own.
        if unsafe { libc::getrlimit(resource, &raw mut limit) } == 0 {
            limit.rlim_cur = limit.rlim_max;
            // SAFETY: the limit is that of this process, which ends.
            unsafe { libc::setrlimit(resource, &raw const limit) };
        }
    }
}

/// Calls the handler that was there before, where there was one.
unsafe fn as_before(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // What it would have raised again has been through it.
    // SAFETY: the caller has it from the kernel.
    let is_again = unsafe { (*info).si_code } == libc::SI_TKILL && signal != SIGABRT;
    let Some(former) = former(signal) else {
        return;
    };
    let handler = former.sa_sigaction;
    if handler == SIG_DFL
        || handler == SIG_IGN
        || is_again
        || handler == on_fault as *const () as usize
    {
        return;
    }
    if former.sa_flags & SA_SIGINFO != 0 {
        type Handler = unsafe extern "C" fn(c_int, *mut siginfo_t, *mut c_void);
        // SAFETY: with SA_SIGINFO it is a function of this form.
        let handler = unsafe { std::mem::transmute::<usize, Handler>(handler) };
        // SAFETY: the arguments are the kernel's.
        unsafe { handler(signal, info, context) };
    } else {
        // SAFETY: without SA_SIGINFO it is a function of this form.
        let handler = unsafe { std::mem::transmute::<usize, unsafe extern "C" fn(c_int)>(handler) };
        // SAFETY: the argument is the kernel's.
        unsafe { handler(signal) };
    }
}

/// What was there before for a signal.
fn former(signal: c_int) -> Option<sigaction> {
    let number = SIGNALS.iter().position(|known| *known == signal)?;
    // SAFETY: the table is complete, with zeros where nothing was installed yet.
    Some(unsafe { (*FORMERS.0.get())[number].assume_init() })
}

/// Lets the signal come to this action: where the processor found the fault it finds it again, and else the signal is
/// sent again. Either comes when the handler returns, or at once.
fn hand_on(signal: c_int, was_sent: bool, action: &sigaction) {
    // SAFETY: it is the default action, or one that was there before.
    unsafe { libc::sigaction(signal, ptr::from_ref(action), ptr::null_mut()) };
    if was_sent {
        // SAFETY: `raise` may be called in a handler.
        unsafe { libc::raise(signal) };
    }
}

/// Who sent the signal, or where the fault was.
pub(super) fn sender_or_address(info: &siginfo_t) -> (i32, usize) {
    if info.si_code <= 0 {
        // SAFETY: a signal that somebody sent says who.
        (unsafe { info.si_pid() }, 0)
    } else {
        // SAFETY: a fault says where.
        (0, unsafe { info.si_addr() }.addr())
    }
}

fn own_tid() -> i32 {
    rustix::thread::gettid().as_raw_nonzero().get()
}
