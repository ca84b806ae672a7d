//! Where the C library keeps its descriptor of each thread: at the outer end of the thread's stack.
//!
//! The descriptor holds the function that the thread was started with, so that the owner of a running thread is found
//! too, which shows no stack pointer; and it ends the thread's stack, also where Linux lists neighbouring stacks as one
//! region. It is found by the thread's list of robust mutexes, which the C library keeps in it and tells Linux of. Nothing
//! else is assumed of its layout; where the thread's number lies in it is looked up in our own descriptor.

use std::collections::HashMap;

use crate::proc::spans::bytes;
use crate::proc::tasks;

/// As long as the descriptor may be.
const LONGEST: usize = 4096;

/// The descriptors of the threads, by thread number; those that are not found are not in it.
pub(crate) fn descriptors() -> HashMap<i32, usize> {
    let own = nix::sys::pthread::pthread_self() as usize;
    let offsets = robust_list(0)
        .and_then(|list| list.checked_sub(own))
        .zip(number_offset(own));
    let Some((list, number)) = offsets else {
        return HashMap::new();
    };
    let find = |tid| {
        let descriptor = robust_list(tid)?.checked_sub(list)?;
        let there = bytes(descriptor.checked_add(number)?, size_of::<i32>());
        let is_its_own = i32::from_ne_bytes(there.try_into().ok()?) == tid;
        is_its_own.then_some((tid, descriptor))
    };
    tasks::numbers().into_iter().filter_map(find).collect()
}

/// Behind the last byte of the stack that ends with a descriptor.
pub(crate) fn stack_end(descriptor: usize) -> usize {
    (descriptor + 1).next_multiple_of(rustix::param::page_size())
}

/// Where our own descriptor holds our own number.
fn number_offset(own: usize) -> Option<usize> {
    let own = bytes(own, LONGEST);
    let number = rustix::thread::gettid().as_raw_nonzero().get();
    let (words, _) = own.as_chunks::<{ size_of::<i32>() }>();
    let position = words
        .iter()
        .position(|word| i32::from_ne_bytes(*word) == number)?;
    Some(position * size_of::<i32>())
}

/// The list of robust mutexes of a thread, or of the calling one for 0; `None` for a thread without any.
#[allow(unsafe_code, reason = "the system call has no safe form")]
fn robust_list(tid: i32) -> Option<usize> {
    let (mut list, mut length) = (0_usize, 0_usize);
    // SAFETY: Linux writes one word to each of the two places, which live until the call has returned.
    let failed = unsafe {
        libc::syscall(
            libc::SYS_get_robust_list,
            tid,
            &raw mut list,
            &raw mut length,
        )
    };
    (failed == 0 && list != 0).then_some(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_thread_of_this_program_is_found() {
        let (finish, finished) = std::sync::mpsc::channel::<()>();
        let (say, said) = std::sync::mpsc::channel();
        let worker = std::thread::spawn(move || {
            let number = rustix::thread::gettid().as_raw_nonzero().get();
            say.send((number, nix::sys::pthread::pthread_self() as usize))
                .unwrap();
            finished.recv()
        });
        let (number, descriptor) = said.recv().unwrap();
        let found = descriptors();
        drop(finish);
        assert!(worker.join().unwrap().is_err());
        assert_eq!(found.get(&number), Some(&descriptor));
    }
}
