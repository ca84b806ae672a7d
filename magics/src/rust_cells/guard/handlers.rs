//! The handlers of signals while cells run, and those that were there before.

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use diaphane_forks::ProcessLock;
use diaphane_sight::threads::passed_to_main_thread;
use libc::{
    SA_NODEFER, SA_ONSTACK, SA_SIGINFO, SI_TIMER, SIG_DFL, SIG_IGN, SIGABRT, SIGBUS, SIGFPE,
    SIGILL, SIGINT, SIGSEGV, c_int, c_void, sigaction, siginfo_t, stack_t,
};

use super::{Crash, FRAME, INTERRUPTED, INTERRUPTS};
use crate::arch::fault_recovery::{leave, pc};

const SIGNALS: [c_int; 6] = [SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGINT];
/// What the handlers stand on when the thread's own stack is used up.
const STACK: usize = 64 << 10;

/// Between two looks at where an interrupted thread stands.
const AGAIN: Duration = Duration::from_millis(1);
/// After so many looks the user is told why nothing happens.
const LOOKS: u32 = 300;
/// What the user is told.
const BLOCKED: &str = "%%rust: blocked: the cell waits for a lock or a thread, or runs code of a library, where it cannot \
be stopped without harm. It is stopped when its own code runs again; restart the kernel if that never comes. \
With --isolated one interrupt ends a cell at once, wherever it is.\n";

/// The handlers that were there before.
struct Before(UnsafeCell<[MaybeUninit<sigaction>; SIGNALS.len()]>);

#[allow(
    clippy::non_send_fields_in_send_ty,
    reason = "handlers are plain addresses"
)]
// SAFETY: it is written under a lock before a handler is installed, and only read while one is.
unsafe impl Sync for Before {}

static BEFORE: Before = Before(UnsafeCell::new(
    [const { MaybeUninit::uninit() }; SIGNALS.len()],
));
/// How many cells run.
static RUNNING: ProcessLock<usize> = ProcessLock::new(|| 0);

/// Handlers that are installed until it is dropped, and the stack for them on this thread.
pub struct InstalledSignals {
    before: stack_t,
    _stack: Box<[MaybeUninit<u8>]>,
}

/// Installs the handlers.
pub fn install() -> InstalledSignals {
    let mut running = RUNNING.lock();
    if *running == 0 {
        for (number, signal) in SIGNALS.into_iter().enumerate() {
            // SAFETY: an all-zero structure is a valid one.
            let mut action: sigaction = unsafe { std::mem::zeroed() };
            action.sa_sigaction = ours(signal);
            action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
            // SAFETY: no handler reads the table yet, and the lock keeps other writers away.
            let before = unsafe { (*BEFORE.0.get())[number].as_mut_ptr() };
            // SAFETY: the handlers have the form that SA_SIGINFO says.
            unsafe { libc::sigaction(signal, &raw const action, before) };
        }
    }
    *running += 1;
    drop(running);
    let mut stack = Box::new_uninit_slice(STACK);
    let new = stack_t {
        ss_sp: stack.as_mut_ptr().cast(),
        ss_flags: 0,
        ss_size: STACK,
    };
    let mut before = stack_t {
        ss_sp: ptr::null_mut(),
        ss_flags: libc::SS_DISABLE,
        ss_size: 0,
    };
    // SAFETY: the memory lives until the old stack is back.
    unsafe { libc::sigaltstack(&raw const new, &raw mut before) };
    InstalledSignals {
        before,
        _stack: stack,
    }
}

impl Drop for InstalledSignals {
    fn drop(&mut self) {
        // SAFETY: the stack that was there before is still the thread's.
        unsafe { libc::sigaltstack(&raw const self.before, ptr::null_mut()) };
        let mut running = RUNNING.lock();
        *running -= 1;
        if *running > 0 {
            return;
        }
        for (number, signal) in SIGNALS.into_iter().enumerate() {
            // SAFETY: an all-zero structure is a valid one.
            let mut current: sigaction = unsafe { std::mem::zeroed() };
            // SAFETY: it only asks.
            unsafe { libc::sigaction(signal, ptr::null(), &raw mut current) };
            // Who has put another handler there meanwhile keeps it.
            if current.sa_sigaction == ours(signal) {
                // SAFETY: what `install` was given is given back.
                unsafe { libc::sigaction(signal, before(number), ptr::null_mut()) };
            }
        }
    }
}

/// Our handler of a signal.
fn ours(signal: c_int) -> usize {
    if signal == SIGINT {
        on_interrupt as *const () as usize
    } else {
        on_fault as *const () as usize
    }
}

fn before(number: usize) -> *const sigaction {
    // SAFETY: the table is complete while a handler is installed.
    unsafe { (*BEFORE.0.get())[number].as_ptr() }
}

/// A fault of a cell ends the cell. One of anybody else is handled as before.
unsafe extern "C" fn on_fault(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let frame = FRAME.get();
    if !frame.is_null() {
        // SAFETY: the kernel gives the information to handlers with SA_SIGINFO.
        let address = unsafe { (*info).si_addr() }.addr();
        let address = if signal == SIGABRT { 0 } else { address };
        let crash = Crash {
            signal,
            address,
            pc: pc(context),
        };
        // SAFETY: the frame belongs to a call of this thread that has not returned; nobody else has it.
        let frame_now = unsafe { &mut *frame };
        // SAFETY: as above.
        if unsafe { leave(&raw const frame_now.stack, context) } {
            frame_now.crash = Some(crash);
            FRAME.set(ptr::null_mut());
            return;
        }
    }
    // SAFETY: the arguments are the kernel's.
    unsafe { as_before(signal, info, context) };
}

/// The first interrupt is the cell's to hear; from the second on it is stopped where it can be: in its own code, where it
/// holds no lock of a library.
unsafe extern "C" fn on_interrupt(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let frame = FRAME.get();
    // SAFETY: the kernel gives the information to handlers with SA_SIGINFO.
    let is_timer = unsafe { (*info).si_code } == SI_TIMER;
    if !is_timer {
        // The thread that is to be stopped is the main one, whichever Linux gave the signal to.
        if passed_to_main_thread(signal) {
            return;
        }
        INTERRUPTED.store(true, Ordering::Relaxed);
        let earlier = INTERRUPTS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the arguments are the kernel's.
        unsafe { as_before(signal, info, context) };
        if earlier == 0 {
            return;
        }
    }
    if frame.is_null() {
        return;
    }
    let pc = pc(context);
    // SAFETY: the frame belongs to a call of this thread that has not returned.
    let frame_now = unsafe { &mut *frame };
    // SAFETY: as above.
    if frame_now.code.contains(&pc) && unsafe { leave(&raw const frame_now.stack, context) } {
        if let Some(timer) = &frame_now.timer {
            timer.pause();
        }
        frame_now.crash = Some(Crash {
            signal,
            address: 0,
            pc,
        });
        FRAME.set(ptr::null_mut());
        return;
    }
    frame_now.missed = if is_timer { frame_now.missed + 1 } else { 0 };
    if frame_now.missed == LOOKS {
        // SAFETY: a handler may write; what cannot be written is not said.
        unsafe { libc::write(libc::STDERR_FILENO, BLOCKED.as_ptr().cast(), BLOCKED.len()) };
    }
    if let Some(timer) = frame_now.timer.as_ref().filter(|_| !is_timer) {
        timer.start(AGAIN, AGAIN);
    }
}

/// Calls the handler that was there before.
unsafe fn as_before(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let Some(number) = SIGNALS.iter().position(|known| *known == signal) else {
        return;
    };
    // SAFETY: the table is complete while a handler is installed.
    let action = unsafe { &*before(number) };
    match action.sa_sigaction {
        SIG_IGN => {}
        SIG_DFL => {
            // The default comes when the instruction is tried again, or when the signal is sent again.
            // SAFETY: the old action is put back.
            unsafe { libc::sigaction(signal, before(number), ptr::null_mut()) };
            if signal == SIGABRT || signal == SIGINT {
                // SAFETY: `raise` may be called in a handler.
                unsafe { libc::raise(signal) };
            }
        }
        handler if action.sa_flags & SA_SIGINFO != 0 => {
            type Handler = unsafe extern "C" fn(c_int, *mut siginfo_t, *mut c_void);
            // SAFETY: with SA_SIGINFO it is a function of this form.
            let handler = unsafe { std::mem::transmute::<usize, Handler>(handler) };
            // SAFETY: the arguments are the kernel's.
            unsafe { handler(signal, info, context) };
        }
        handler => {
            // SAFETY: without SA_SIGINFO it is a function of this form.
            let handler =
                unsafe { std::mem::transmute::<usize, unsafe extern "C" fn(c_int)>(handler) };
            // SAFETY: the argument is the kernel's.
            unsafe { handler(signal) };
        }
    }
}
