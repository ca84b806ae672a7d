//! The life of a child that runs a cell: nothing of Python, no signal handlers and no open files of the kernel, one call,
//! and the end.

use std::ffi::c_void;
use std::fs::File;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::time::Instant;

use diaphane_cell::abi::{Ctx, Entry, Text};
use diaphane_sight::proc::open_files;
use diaphane_sight::runtimes::stdio;
use libc::{
    SA_ONSTACK, SA_SIGINFO, SIG_DFL, SIG_IGN, SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGKILL, SIGSEGV,
    c_int, siginfo_t, sigset_t, stack_t,
};

use crate::rust_cells::guard::{Crash, INTERRUPTED, pc};
use crate::rust_cells::isolated::payload;
use crate::rust_cells::isolated::status_page::{Phase, StatusPage};
use crate::rust_cells::nanoseconds;
use crate::rust_cells::results::CellResults;

/// Signals that are a fault of the cell's.
const FAULTS: [c_int; 5] = [SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT];
/// Where the results go: the first descriptor behind the three that everybody knows.
const PARCEL: RawFd = 3;
/// The numbers of signals end here.
const SIGNALS: c_int = 64;

/// The child's own status page, for its handlers.
static SLATE: AtomicPtr<StatusPage> = AtomicPtr::new(ptr::null_mut());
/// What says which panic an abort is the end of, and what that is given.
static LAST_WORDS: AtomicUsize = AtomicUsize::new(0);
static CONTEXT: AtomicPtr<Ctx> = AtomicPtr::new(ptr::null_mut());

/// What a child needs. All of it was made before the fork.
pub struct Task<'a> {
    pub entry: Entry,
    pub last_words: Entry,
    pub context: &'a Ctx,
    pub taken: *const CellResults,
    pub status_page: &'a StatusPage,
    pub payload: &'a OwnedFd,
    /// What handlers stand on.
    pub stack: &'a mut [MaybeUninit<u8>],
    /// The signals that the thread blocks when all is set.
    pub mask: sigset_t,
    /// The kernel's process.
    pub parent: libc::pid_t,
}

/// Runs the cell and ends the process.
///
/// # Safety
///
/// To be called in a fresh child, with all signals blocked. The entry and its context must fit each other.
pub unsafe fn live(task: Task<'_>) -> ! {
    // A panic of ours must not lead back into the kernel's code.
    let lived = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: the caller's promise.
        unsafe { run(task) }
    }));
    end(c_int::from(lived.is_err()))
}

/// Ends the process at once.
fn end(code: c_int) -> ! {
    // SAFETY: no handler runs that belongs to the kernel.
    unsafe { libc::_exit(code) }
}

unsafe fn run(task: Task<'_>) {
    SLATE.store(
        ptr::from_ref(task.status_page).cast_mut(),
        Ordering::Release,
    );
    LAST_WORDS.store(task.last_words as usize, Ordering::Release);
    CONTEXT.store(ptr::from_ref(task.context).cast_mut(), Ordering::Release);
    belong_to(task.parent);
    let payload = keep_only(task.payload);
    // SAFETY: the stack is kept until the process ends.
    unsafe { handle_signals(task.stack) };
    // SAFETY: the handler has the form that is asked for.
    unsafe { on_exit(Some(on_leaving), ptr::null_mut()) };
    // SAFETY: the mask is the one that the thread had.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const task.mask, ptr::null_mut()) };
    INTERRUPTED.store(false, Ordering::Relaxed);
    let began = Instant::now();
    // SAFETY: the caller's promise.
    let status = unsafe { (task.entry)(task.context) };
    task.status_page.took(nanoseconds(began));
    // SAFETY: the cell no longer writes to it.
    let packed = payload::pack(unsafe { &*task.taken }, &payload);
    stdio::flush();
    let phase = match packed {
        Ok(()) => Phase::Finished,
        Err(_) => Phase::Unwritten,
    };
    task.status_page.end(phase, status);
}

/// The child is gone when the kernel is; processes that it starts are in its group, and an interrupt of the kernel's group
/// is the kernel's.
fn belong_to(parent: libc::pid_t) {
    // SAFETY: system calls about this process, without pointers to anything but values.
    unsafe {
        libc::setpgid(0, 0);
        libc::prctl(libc::PR_SET_PDEATHSIG, SIGKILL);
        libc::prctl(libc::PR_SET_NAME, c"rust-isolated".as_ptr());
        // Its memory is a copy of the kernel's, which would be written to disk with it.
        let none = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        libc::setrlimit(libc::RLIMIT_CORE, &raw const none);
        if libc::getppid() != parent {
            libc::_exit(0);
        }
    }
}

/// Closes everything but what is written to, so that no socket of the kernel's outlives it here.
fn keep_only(payload: &OwnedFd) -> File {
    // SAFETY: descriptors of the kernel's may be closed in the child, where nobody uses them.
    unsafe {
        if payload.as_raw_fd() != PARCEL {
            libc::dup3(payload.as_raw_fd(), PARCEL, libc::O_CLOEXEC);
        }
        let first = PARCEL + 1;
        if libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) != 0 {
            close_one_by_one(first);
        }
        File::from(OwnedFd::from_raw_fd(PARCEL))
    }
}

/// Linux before 5.9 cannot close many at once.
unsafe fn close_one_by_one(first: RawFd) {
    let open = open_files::descriptors().into_iter();
    for (number, _) in open.filter(|(number, _)| *number >= first) {
        // SAFETY: the caller's.
        unsafe { libc::close(number) };
    }
}

/// Handlers of the kernel's do nothing here; what was ignored still is. A fault is written down.
unsafe fn handle_signals(stack: &mut [MaybeUninit<u8>]) {
    let new = stack_t {
        ss_sp: stack.as_mut_ptr().cast(),
        ss_flags: 0,
        ss_size: stack.len(),
    };
    // SAFETY: the memory is the child's own until it ends.
    unsafe { libc::sigaltstack(&raw const new, ptr::null_mut()) };
    for signal in 1..=SIGNALS {
        // SAFETY: an all-zero structure is a valid one.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        // SAFETY: it only asks; what it says of numbers that are no signals is not used.
        let known = unsafe { libc::sigaction(signal, ptr::null(), &raw mut action) } == 0;
        if FAULTS.contains(&signal) {
            action.sa_sigaction = on_fault as *const () as usize;
            action.sa_flags = SA_SIGINFO | SA_ONSTACK;
        } else if known && action.sa_sigaction != SIG_IGN && action.sa_sigaction != SIG_DFL {
            action.sa_sigaction = SIG_DFL;
            action.sa_flags = 0;
        } else {
            continue;
        }
        // SAFETY: the handler has the form that SA_SIGINFO says.
        unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) };
    }
}

unsafe extern "C" fn on_fault(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel gives the information to handlers with SA_SIGINFO.
    let address = unsafe { (*info).si_addr() }.addr();
    if let Some(status_page) = status_page() {
        status_page.crash(Crash {
            signal,
            address: if signal == SIGABRT { 0 } else { address },
            pc: pc(context),
        });
        if signal == SIGABRT {
            say_last_words();
        }
    }
    end(1);
}

/// The words of the panic that aborts.
fn say_last_words() {
    // A fault meanwhile must not lead here again.
    let last_words = LAST_WORDS.swap(0, Ordering::AcqRel);
    if last_words == 0 {
        return;
    }
    // SAFETY: `run` took the address from such a function.
    let last_words = unsafe { std::mem::transmute::<usize, Entry>(last_words) };
    // SAFETY: the context is the run's, which this thread has not left.
    unsafe { last_words(CONTEXT.load(Ordering::Acquire)) };
}

/// What a cell tells that has failed: by the shared memory, since its results may never be written.
pub unsafe extern "C" fn fail(_: *mut c_void, words: Text, line: u32) {
    // SAFETY: the cell gives a text that lives during the call.
    let words = unsafe { std::slice::from_raw_parts(words.data, words.len) };
    if let Some(status_page) = status_page() {
        status_page.say(words, line);
    }
}

/// The first of all exit handlers to run, and the last: those of the kernel would wait for threads that are not here.
unsafe extern "C" fn on_leaving(code: c_int, _: *mut c_void) {
    stdio::flush();
    if let Some(status_page) = status_page() {
        status_page.end(Phase::Left, code.cast_unsigned());
    }
    end(code);
}

fn status_page() -> Option<&'static StatusPage> {
    // SAFETY: it is null, or the child's until it ends.
    unsafe { SLATE.load(Ordering::Acquire).as_ref() }
}

unsafe extern "C" {
    fn on_exit(
        handler: Option<unsafe extern "C" fn(c_int, *mut c_void)>,
        argument: *mut c_void,
    ) -> c_int;
}
