//! The handler: it gets every system call of a thread that takes part, makes it, and writes down what came of it.
//!
//! It allocates nothing, takes no lock, and enters the kernel only through `asm`. While it makes a call, signals reach
//! the thread as ever, so it may be interrupted, and entered again by calls of the handler that interrupts it.

#![allow(
    unsafe_code,
    reason = "a signal handler reads and writes the state that it interrupted"
)]

use std::sync::atomic::Ordering;

use super::asm::{allowed, call, own, return_from, trampoline};
use super::capture_spec::{LONGEST, LONGEST_PATH, has_read_address, has_read_path, of};
use super::masks::{change, handle_signal, keep_open, peek, previous, read_own, wait};
use super::state::{Record, ThreadState, piece};
use super::{ACTIVE, Copied, LEFT_OUT, Length, callback, clean_up, is_wanted};

/// `si_code` of a dispatched call.
const SYS_USER_DISPATCH: i32 = 2;
/// The instruction set of 64-bit programs, as `si_arch` names it.
const AUDIT_ARCH_X86_64: u32 = 0xc000_003e;
const PR_SET_SYSCALL_USER_DISPATCH: usize = 59;
/// What the kernel reads before each call.
const BLOCK: u8 = 1;
/// The length of a `syscall` instruction.
const SYSCALL: i64 = 2;

/// What the kernel passes for SIGSYS.
#[repr(C)]
pub(super) struct Info {
    signal: i32,
    errno: i32,
    code: i32,
    padding: i32,
    address: usize,
    number: i32,
    architecture: u32,
}

/// Sends the system calls of the calling thread to the handler; an error is a negative number.
pub(super) fn arm(state: &'static ThreadState) -> isize {
    let words = own();
    words.by_trampoline.store(isize::MIN, Ordering::Relaxed);
    words
        .state
        .store(std::ptr::from_ref(state).cast_mut(), Ordering::Relaxed);
    state.selector.store(BLOCK, Ordering::Relaxed);
    let (start, length) = allowed();
    let selector = (&raw const state.selector).expose_provenance();
    let armed = call(
        libc::SYS_prctl,
        [PR_SET_SYSCALL_USER_DISPATCH, 1, start, length, selector, 0],
    );
    if armed != 0 {
        words.state.store(std::ptr::null_mut(), Ordering::Relaxed);
        state.leave();
    }
    armed
}

/// Ends that.
pub(super) fn disarm(state: &ThreadState) {
    state.settle();
    call(
        libc::SYS_prctl,
        [PR_SET_SYSCALL_USER_DISPATCH, 0, 0, 0, 0, 0],
    );
    own().state.store(std::ptr::null_mut(), Ordering::Relaxed);
    state.leave();
}

/// A thread that was started by one that takes part, at its first instruction.
pub(super) extern "C" fn arm_new_thread() {
    let generation = ACTIVE.load(Ordering::Acquire);
    if generation == 0 {
        return;
    }
    let here = 0_u8;
    // What lies above belongs to this thread too, but how much of it does is not known.
    let top = (&raw const here).addr();
    let armed = ThreadState::claim(generation, top).map(arm);
    if armed != Some(0) {
        LEFT_OUT.fetch_add(1, Ordering::Relaxed);
    }
}

/// The state that the signal interrupted.
struct Interrupted<'a>(&'a mut libc::ucontext_t);

impl Interrupted<'_> {
    fn get(&self, register: i32) -> usize {
        self.0.uc_mcontext.gregs[register as usize] as usize
    }

    fn set(&mut self, register: i32, value: i64) {
        self.0.uc_mcontext.gregs[register as usize] = value;
    }

    fn arguments(&self) -> [usize; 6] {
        use libc::{REG_R8, REG_R9, REG_R10, REG_RDI, REG_RDX, REG_RSI};
        [REG_RDI, REG_RSI, REG_RDX, REG_R10, REG_R8, REG_R9].map(|register| self.get(register))
    }

    fn kept(&self) -> [usize; 8] {
        use libc::{REG_R12, REG_R13, REG_R14, REG_R15, REG_RBP, REG_RBX, REG_RIP, REG_RSP};
        let order = [
            REG_RIP, REG_RSP, REG_RBX, REG_RBP, REG_R12, REG_R13, REG_R14, REG_R15,
        ];
        order.map(|register| self.get(register))
    }

    /// The signals that are blocked again when the handler returns.
    fn blocked(&mut self) -> &mut u64 {
        // SAFETY: the kernel's set is the first word of the C library's.
        unsafe { &mut *(&raw mut self.0.uc_sigmask).cast() }
    }

    /// Makes the call again, now that nobody intercepts it.
    fn redo(&mut self) {
        let next = self.get(libc::REG_RIP) as i64;
        self.set(libc::REG_RIP, next - SYSCALL);
    }
}

/// The handler of SIGSYS.
pub(super) unsafe extern "C-unwind" fn handle(
    _signal: i32,
    info: *const Info,
    context: *mut libc::ucontext_t,
) {
    // SAFETY: the kernel passes both with SA_SIGINFO.
    let info = unsafe { &*info };
    if info.code != SYS_USER_DISPATCH {
        return pass_on(info, context);
    }
    // SAFETY: as above, and nobody else has it.
    let mut interrupted = Interrupted(unsafe { &mut *context });
    // SAFETY: it is null or a place of the table, which lives for ever.
    let Some(state) = (unsafe { own().state.load(Ordering::Relaxed).as_ref() }) else {
        return interrupted.redo();
    };
    state.settle();
    let over = state.generation.load(Ordering::Relaxed) != ACTIVE.load(Ordering::Acquire);
    if over || info.architecture != AUDIT_ARCH_X86_64 {
        if !over {
            LEFT_OUT.fetch_add(1, Ordering::Relaxed);
        }
        leave(state, &mut interrupted);
        return interrupted.redo();
    }
    let (number, arguments) = (i64::from(info.number), interrupted.arguments());
    let record = if is_wanted(number) {
        callback(state);
        state.record(number, arguments, interrupted.kept())
    } else {
        None
    };
    if let Some(result) = make(state, number, arguments, &mut interrupted, record) {
        interrupted.set(libc::REG_RAX, result as i64);
        finish(state, record, result);
    }
}

/// Makes the call; `None` where it is made after the handler has returned.
fn make(
    state: &ThreadState,
    number: i64,
    arguments: [usize; 6],
    interrupted: &mut Interrupted<'_>,
    record: Option<&'static Record>,
) -> Option<isize> {
    match number {
        libc::SYS_rt_sigreturn => {
            end(record, 0);
            let context = interrupted.get(libc::REG_RSP);
            keep_open(context, state);
            return_from(context)
        }
        libc::SYS_exit => {
            end(record, 0);
            own().state.store(std::ptr::null_mut(), Ordering::Relaxed);
            state.leave();
            clean_up();
            Some(call(number, arguments))
        }
        libc::SYS_clone | libc::SYS_clone3 | libc::SYS_vfork
            if shares_memory(number, arguments) =>
        {
            let shares = libc::CLONE_THREAD | libc::CLONE_SETTLS;
            let flags = flags(number, arguments);
            let for_thread = flags & shares as usize == shares as usize;
            let back = interrupted.get(libc::REG_RIP);
            let Some(trampoline) = trampoline(back, for_thread) else {
                LEFT_OUT.fetch_add(1, Ordering::Relaxed);
                leave(state, interrupted);
                interrupted.redo();
                return None;
            };
            own().by_trampoline.store(isize::MIN, Ordering::Relaxed);
            let waiting = record.map_or(0, |record| std::ptr::from_ref(record).addr());
            state.by_trampoline.store(waiting, Ordering::Relaxed);
            if let Some(record) = record {
                copy(state, record, 0);
            }
            interrupted.set(libc::REG_RIP, trampoline as i64);
            None
        }
        libc::SYS_clone | libc::SYS_fork => {
            let result = call(number, arguments);
            if result == 0 {
                super::forget_in_child();
            }
            Some(result)
        }
        libc::SYS_rt_sigprocmask => Some(change(arguments, state, interrupted.blocked())),
        libc::SYS_rt_sigaction => Some(handle_signal(arguments)),
        libc::SYS_sigaltstack => Some(switch_stack(arguments, interrupted)),
        libc::SYS_rt_sigsuspend => Some(wait(number, arguments, 0, false)),
        libc::SYS_ppoll => Some(wait(number, arguments, 3, false)),
        libc::SYS_epoll_pwait | libc::SYS_epoll_pwait2 => Some(wait(number, arguments, 4, false)),
        libc::SYS_pselect6 => Some(wait(number, arguments, 5, true)),
        _ => Some(call(number, arguments)),
    }
}

/// Whether a new task would return through the memory in which this handler stands.
fn shares_memory(number: i64, arguments: [usize; 6]) -> bool {
    number != libc::SYS_clone || flags(number, arguments) & libc::CLONE_VM as usize != 0
}

/// What a new task shares.
fn flags(number: i64, arguments: [usize; 6]) -> usize {
    match number {
        libc::SYS_clone => arguments[0],
        libc::SYS_clone3 => peek::<1>(arguments[0]).map_or(0, |[flags]| flags),
        _ => 0,
    }
}

/// `sigaltstack`: our return restores the stack that was there before, so it is told the new one.
fn switch_stack(arguments: [usize; 6], interrupted: &mut Interrupted<'_>) -> isize {
    let result = call(libc::SYS_sigaltstack, arguments);
    if result == 0
        && arguments[0] != 0
        && let Some([start, flags, size]) = peek::<3>(arguments[0])
    {
        interrupted.0.uc_stack.ss_sp = start as *mut _;
        interrupted.0.uc_stack.ss_flags = flags as i32;
        interrupted.0.uc_stack.ss_size = size;
    }
    result
}

/// The thread takes part no more.
fn leave(state: &ThreadState, interrupted: &mut Interrupted<'_>) {
    let blocks = state.blocks.load(Ordering::Relaxed);
    disarm(state);
    clean_up();
    if blocks {
        *interrupted.blocked() |= super::masks::OURS;
    }
}

/// Writes down what came of a call.
fn finish(state: &ThreadState, record: Option<&'static Record>, result: isize) {
    end(record, result);
    if state.generation.load(Ordering::Relaxed) != ACTIVE.load(Ordering::Acquire) {
        // The recording ended while the call was waiting, and its log may have been read.
        return;
    }
    if let Some(record) = record {
        copy(state, record, result);
    }
}

fn end(record: Option<&'static Record>, result: isize) {
    if let Some(record) = record {
        record.result.store(result, Ordering::Relaxed);
        record.ended.store(crate::clock::ticks(), Ordering::Release);
    }
}

/// Copies what the arguments point to, as far as the kernel has just read or written it.
fn copy(state: &ThreadState, record: &'static Record, result: isize) {
    let error = if result < 0 { -result as i32 } else { 0 };
    let arguments = record.arguments;
    for &take in of(record.number) {
        let (argument, most, is_there) = match take {
            Copied::Path(argument) => (argument, LONGEST_PATH, error == 0 || has_read_path(error)),
            Copied::Bytes(argument, length) => (
                argument,
                length.of(arguments, result),
                error == 0 || has_read_address(error),
            ),
            Copied::Filled(argument, length) => {
                (argument, length.of(arguments, result), error == 0)
            }
        };
        let from = arguments[usize::from(argument)];
        if !is_there || from == 0 || most == 0 {
            continue;
        }
        let is_path = matches!(take, Copied::Path(_));
        let kind = if is_path { piece::PATH } else { piece::TEXT };
        state.append(kind, Some(record), argument.into(), most, |buffer| {
            // Another thread may have unmapped it by now, and a call that did less than it was asked to need not have
            // touched all of it.
            let Some(read) = read_own(from, buffer) else {
                return 0;
            };
            let end = buffer[..read].iter().position(|byte| *byte == 0);
            end.filter(|_| is_path).map_or(read, |end| end + 1)
        });
    }
}

impl Length {
    fn of(self, arguments: [usize; 6], result: isize) -> usize {
        let length = match self {
            Self::Fixed(length) => length,
            Self::Argument(number) => arguments[usize::from(number)],
            Self::Result => result.max(0) as usize,
        };
        length.min(LONGEST)
    }
}

/// A signal that is none of ours goes where it would have gone.
fn pass_on(info: &Info, context: *mut libc::ucontext_t) {
    let [handler, flags, ..] = previous();
    match handler {
        libc::SIG_IGN => {}
        libc::SIG_DFL => {
            super::masks::uninstall(handle as *const () as usize);
            let process = call(libc::SYS_getpid, [0; 6]) as usize;
            let thread = call(libc::SYS_gettid, [0; 6]) as usize;
            let signal = libc::SIGSYS as usize;
            call(libc::SYS_tgkill, [process, thread, signal, 0, 0, 0]);
        }
        _ if flags & libc::SA_SIGINFO as usize != 0 => {
            type Handler = extern "C-unwind" fn(i32, *const Info, *mut libc::ucontext_t);
            // SAFETY: the program installed it with SA_SIGINFO, so it takes these.
            let handler = unsafe { std::mem::transmute::<usize, Handler>(handler) };
            handler(libc::SIGSYS, info, context);
        }
        _ => {
            // SAFETY: the program installed it without SA_SIGINFO, so it takes the number alone.
            let handler =
                unsafe { std::mem::transmute::<usize, extern "C-unwind" fn(i32)>(handler) };
            handler(libc::SIGSYS);
        }
    }
}
