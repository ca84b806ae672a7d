//! Calls that change which signals reach a thread: they are made so that SIGSYS, by which its calls are dispatched, is
//! never blocked or handled by somebody else, while the program sees what it would see without us.

#![allow(
    unsafe_code,
    reason = "structures of the program are read and written as the kernel does"
)]

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::PROCESS;
use super::asm::{call, restorer};
use super::state::ThreadState;

/// SIGSYS in a set of signals.
pub(super) const OURS: u64 = 1 << (libc::SIGSYS - 1);
/// The size of such a set for the kernel.
const SET: usize = 8;
/// Handlers restore registers by this.
const SA_RESTORER: usize = 0x0400_0000;

/// The kernel's `sigaction`: handler, flags, restorer, mask.
type Action = [usize; 4];

/// The action for SIGSYS that the program believes to have.
static PREVIOUS: [AtomicUsize; 4] = [const { AtomicUsize::new(0) }; 4];
/// The signals whose handlers block SIGSYS as the program believes.
pub(super) static STRIPPED: AtomicU64 = AtomicU64::new(0);

/// Reads a word of the program's, or says that there is none, without ever faulting.
pub(super) fn peek<const N: usize>(address: usize) -> Option<[usize; N]> {
    let mut words = [0; N];
    let size = N * size_of::<usize>();
    let read = read_through_kernel(address, words.as_mut_ptr().expose_provenance(), size);
    match -read as i32 {
        _ if read == size as isize => Some(words),
        // A sandbox forbids it. The C library passes what it made itself.
        libc::EPERM | libc::ENOSYS if address != 0 => {
            // SAFETY: the kernel was to read so many words at this address.
            Some(unsafe { (address as *const [usize; N]).read_unaligned() })
        }
        _ => None,
    }
}

/// Reads memory of the program's, as far as it is there; `None` where a sandbox forbids that.
pub(super) fn read_own(address: usize, into: &mut [u8]) -> Option<usize> {
    let local = into.as_mut_ptr().expose_provenance();
    let read = read_through_kernel(address, local, into.len());
    match -read as i32 {
        libc::EPERM | libc::ENOSYS => None,
        _ => Some(usize::try_from(read).unwrap_or(0)),
    }
}

fn read_through_kernel(address: usize, into: usize, size: usize) -> isize {
    let local = [into, size];
    let remote = [address, size];
    let process = PROCESS.load(Ordering::Relaxed) as usize;
    let pointers = (
        local.as_ptr().expose_provenance(),
        remote.as_ptr().expose_provenance(),
    );
    call(
        libc::SYS_process_vm_readv,
        [process, pointers.0, 1, pointers.1, 1, 0],
    )
}

/// The action of a signal, as the kernel has it.
fn action(signal: i32) -> Option<Action> {
    let mut action: Action = [0; 4];
    let into = action.as_mut_ptr().expose_provenance();
    let asked = call(
        libc::SYS_rt_sigaction,
        [signal as usize, 0, into, SET, 0, 0],
    );
    (asked == 0).then_some(action)
}

fn set_action(signal: i32, action: &Action) -> isize {
    let from = action.as_ptr().expose_provenance();
    call(
        libc::SYS_rt_sigaction,
        [signal as usize, from, 0, SET, 0, 0],
    )
}

/// Installs the handler, and sees to it that no other handler blocks SIGSYS.
pub(super) fn install(handler: usize) -> bool {
    let Some(before) = action(libc::SIGSYS) else {
        return false;
    };
    if before[0] != handler {
        for (word, place) in before.iter().zip(&PREVIOUS) {
            place.store(*word, Ordering::Relaxed);
        }
        let flags = (libc::SA_SIGINFO | libc::SA_NODEFER) as usize | SA_RESTORER;
        if set_action(libc::SIGSYS, &[handler, flags, restorer(), 0]) != 0 {
            return false;
        }
    }
    for signal in 1..=64 {
        let blocking = action(signal).filter(|action| action[3] as u64 & OURS != 0);
        if let Some(mut action) = blocking
            && signal != libc::SIGSYS
        {
            action[3] &= !(OURS as usize);
            if set_action(signal, &action) == 0 {
                STRIPPED.fetch_or(1 << (signal - 1), Ordering::Relaxed);
            }
        }
    }
    true
}

/// Gives all signals the actions that the program believes in, if the handler is still installed.
pub(super) fn uninstall(handler: usize) {
    if action(libc::SIGSYS).is_none_or(|action| action[0] != handler) {
        return;
    }
    set_action(libc::SIGSYS, &previous());
    let stripped = STRIPPED.swap(0, Ordering::Relaxed);
    for signal in (1..=64).filter(|signal| stripped >> (signal - 1) & 1 == 1) {
        if let Some(mut action) = action(signal) {
            action[3] |= OURS as usize;
            set_action(signal, &action);
        }
    }
}

/// The action for SIGSYS that the program believes to have.
pub(super) fn previous() -> Action {
    std::array::from_fn(|index| PREVIOUS[index].load(Ordering::Relaxed))
}

/// A handler is about to return, and may have written SIGSYS into the set of signals that are blocked then.
pub(super) fn keep_open(context: usize, state: &ThreadState) {
    let set = context + std::mem::offset_of!(libc::ucontext_t, uc_sigmask);
    if let Some([blocked]) = peek::<1>(set)
        && blocked as u64 & OURS != 0
    {
        state.blocks.store(true, Ordering::Relaxed);
        // SAFETY: the kernel put the set there for the handler, and reads it when that returns.
        unsafe { *(set as *mut u64) &= !OURS };
    }
}

/// The signals that the calling thread blocks.
pub(super) fn blocked() -> u64 {
    let mut set = 0_u64;
    let into = (&raw mut set).expose_provenance();
    call(libc::SYS_rt_sigprocmask, [0, 0, into, SET, 0, 0]);
    set
}

/// Blocks SIGSYS on the calling thread, or ends that.
pub(super) fn block(blocks: bool) {
    let how = if blocks {
        libc::SIG_BLOCK
    } else {
        libc::SIG_UNBLOCK
    };
    let set = OURS;
    let from = (&raw const set).expose_provenance();
    call(libc::SYS_rt_sigprocmask, [how as usize, from, 0, SET, 0, 0]);
}

/// `rt_sigprocmask`. The set that counts is the one in the interrupted state, which our return restores.
pub(super) fn change(arguments: [usize; 6], state: &ThreadState, restored: &mut u64) -> isize {
    let [how, from, into, size, ..] = arguments;
    let before = state.blocks.load(Ordering::Relaxed);
    let mut after = before;
    let result = if from != 0 && size == SET {
        let Some([wanted]) = peek::<1>(from) else {
            return -libc::EFAULT as isize;
        };
        let names_ours = wanted as u64 & OURS != 0;
        match how as i32 {
            libc::SIG_BLOCK => after |= names_ours,
            libc::SIG_UNBLOCK => after &= !names_ours,
            _ => after = names_ours,
        }
        let wanted = wanted as u64 & !OURS;
        let from = (&raw const wanted).expose_provenance();
        call(libc::SYS_rt_sigprocmask, [how, from, into, size, 0, 0])
    } else {
        call(libc::SYS_rt_sigprocmask, arguments)
    };
    if result == 0 {
        state.blocks.store(after, Ordering::Relaxed);
        if into != 0 && before {
            // SAFETY: the kernel has just written a set there.
            unsafe { *(into as *mut u64) |= OURS };
        }
        *restored = blocked();
    }
    result
}

/// `rt_sigaction`.
pub(super) fn handle_signal(arguments: [usize; 6]) -> isize {
    let [signal, from, into, size, ..] = arguments;
    if size != SET {
        return call(libc::SYS_rt_sigaction, arguments);
    }
    let wanted = if from == 0 {
        None
    } else {
        match peek::<4>(from) {
            Some(action) => Some(action),
            None => return -libc::EFAULT as isize,
        }
    };
    if signal == libc::SIGSYS as usize {
        return pretend(wanted, into);
    }
    let bit = 1_u64 << (signal.wrapping_sub(1) & 63);
    let was_stripped = STRIPPED.load(Ordering::Relaxed) & bit != 0;
    let result = match wanted {
        None => call(libc::SYS_rt_sigaction, arguments),
        Some(mut action) => {
            let blocks = action[3] as u64 & OURS != 0;
            action[3] &= !(OURS as usize);
            let from = action.as_ptr().expose_provenance();
            let result = call(libc::SYS_rt_sigaction, [signal, from, into, size, 0, 0]);
            match blocks {
                _ if result != 0 => {}
                true => drop(STRIPPED.fetch_or(bit, Ordering::Relaxed)),
                false => drop(STRIPPED.fetch_and(!bit, Ordering::Relaxed)),
            }
            result
        }
    };
    if result == 0 && into != 0 && was_stripped {
        // SAFETY: the kernel has just written an action there.
        unsafe { (*(into as *mut Action))[3] |= OURS as usize };
    }
    result
}

/// The program asks for SIGSYS itself: it gets it when the recording is over.
fn pretend(wanted: Option<Action>, into: usize) -> isize {
    if into != 0 {
        if peek::<4>(into).is_none() {
            return -libc::EFAULT as isize;
        }
        // SAFETY: the memory is there, and the program asked for it to be written.
        unsafe { (into as *mut Action).write_unaligned(previous()) };
    }
    for (word, place) in wanted.iter().flatten().zip(&PREVIOUS) {
        place.store(*word, Ordering::Relaxed);
    }
    0
}

/// A call that waits with other signals blocked: `index` is the argument with the set, which may be the first of two
/// words.
pub(super) fn wait(number: i64, mut arguments: [usize; 6], index: usize, pair: bool) -> isize {
    let given = arguments[index];
    let mut words = [given, SET];
    if pair && given != 0 {
        match peek::<2>(given) {
            Some(found) => words = found,
            None => return -libc::EFAULT as isize,
        }
    }
    if given == 0 || words[0] == 0 {
        return call(number, arguments);
    }
    let Some([set]) = peek::<1>(words[0]) else {
        return -libc::EFAULT as isize;
    };
    let set = set as u64 & !OURS;
    words[0] = (&raw const set).expose_provenance();
    arguments[index] = if pair {
        words.as_ptr().expose_provenance()
    } else {
        words[0]
    };
    call(number, arguments)
}
