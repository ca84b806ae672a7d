//! What a signal interrupted, as the kernel wrote it onto the stack. All of it runs in signal handlers.

use std::mem::offset_of;

use diaphane_sight::proc::spans;

/// Where code goes on that stands in a moved instruction; `Ok(None)` if it stands elsewhere.
type Moved = fn(usize) -> Result<Option<usize>, ()>;

/// The instruction that enters the kernel.
const SYSCALL: [u8; 2] = [0x0f, 0x05];
/// How far above the interrupted function older signal frames are looked for.
const REACH: usize = 32 * 1024;
/// So many words are copied at once; a signal stack is small.
const WORDS: usize = 128;

/// The first argument of the system call that the signal interrupted in its sleep, if it did.
///
/// The kernel leaves such a call with EINTR, or goes back to its instruction so that it starts anew.
pub fn sleeps_in(context: &libc::ucontext_t) -> Option<usize> {
    let register = |number: i32| context.uc_mcontext.gregs[number as usize];
    let mut behind = [0; SYSCALL.len()];
    let read = spans::read(register(libc::REG_RIP) as usize, &mut behind);
    let is_whole = read.is_ok_and(|read| read == behind.len());
    let again = is_whole && behind == SYSCALL && register(libc::REG_RAX) >= 0;
    (again || has_left_its_call(context)).then_some(register(libc::REG_RDI) as usize)
}

/// Whether the kernel leaves such a call with EINTR because of the signal.
pub fn has_left_its_call(context: &libc::ucontext_t) -> bool {
    const INTERRUPTED: i64 = -4;
    let register = |number: i32| context.uc_mcontext.gregs[number as usize];
    if register(libc::REG_RAX) != INTERRUPTED {
        return false;
    }
    let before = (register(libc::REG_RIP) as usize).wrapping_sub(SYSCALL.len());
    let mut instruction = [0; SYSCALL.len()];
    let read = spans::read(before, &mut instruction);
    read.is_ok_and(|read| read == SYSCALL.len()) && instruction == SYSCALL
}

/// Moves the thread out of the instructions that are to be moved, and so for the functions that other signals
/// interrupted, in whose handlers it is. Says whether that was possible.
pub fn move_out(context: &mut libc::ucontext_t, moved: Moved) -> bool {
    let code = context.uc_mcontext.gregs[libc::REG_RIP as usize] as usize;
    let Ok(found) = moved(code) else { return false };
    if let Some(moved) = found {
        context.uc_mcontext.gregs[libc::REG_RIP as usize] = moved as i64;
    }
    // A handler runs with its own signal blocked.
    is_unblocked(&context.uc_sigmask) || move_older_out(context, moved)
}

/// The kernel's part of the set.
#[allow(unsafe_code, reason = "the set is opaque")]
fn is_unblocked(set: &libc::sigset_t) -> bool {
    // SAFETY: the kernel writes 64 bits, and the C library's set is larger.
    unsafe { *std::ptr::from_ref(set).cast::<u64>() == 0 }
}

/// Frames of older signals lie on the stack with the address behind a handler's end, which all have in common.
#[allow(unsafe_code, reason = "frames of signals on the stack of this thread")]
fn move_older_out(context: &libc::ucontext_t, moved: Moved) -> bool {
    let frame = std::ptr::from_ref(context).addr() - size_of::<usize>();
    // SAFETY: on x86-64 the address to which a handler returns lies right below the context.
    let restorer = unsafe { *std::ptr::with_exposed_provenance::<usize>(frame) };
    let from = context.uc_mcontext.gregs[libc::REG_RSP as usize] as usize & !7;
    let instruction = size_of::<usize>()
        + offset_of!(libc::ucontext_t, uc_mcontext)
        + offset_of!(libc::mcontext_t, gregs)
        + libc::REG_RIP as usize * size_of::<usize>();
    let mut words = [0u8; WORDS * size_of::<usize>()];
    for start in (from..from + REACH).step_by(words.len()) {
        let length = spans::read(start, &mut words).unwrap_or(0);
        let found = words[..length].as_chunks::<8>().0.iter().enumerate();
        for (index, _) in found.filter(|(_, word)| usize::from_ne_bytes(**word) == restorer) {
            let place = start + index * size_of::<usize>() + instruction;
            let Some(code) = spans::word(place) else {
                continue;
            };
            match moved(code) {
                Ok(None) => {}
                // SAFETY: the word was read above; it lies in a signal's frame on this thread's own stack.
                Ok(Some(moved)) => unsafe {
                    *std::ptr::with_exposed_provenance_mut::<usize>(place) = moved;
                },
                Err(()) => return false,
            }
        }
        if length < words.len() {
            break;
        }
    }
    true
}
