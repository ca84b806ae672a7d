//! Where the C library keeps its descriptor of each thread: at the outer end of the thread's stack.
//!
//! The descriptor holds the function that the thread was started with, so that the owner of a running thread is found
//! too, which shows no stack pointer. Nothing is assumed of its layout but that it begins with its own address twice, as
//! the ABI of thread-local storage asks; where the thread's number lies in it is looked up in our own descriptor.

use std::collections::HashMap;

use crate::proc::maps::{MappingKind, Maps};
use crate::proc::spans::bytes;

/// As long as the descriptor may be.
const LONGEST: usize = 4096;
/// The descriptor is aligned to this.
const ALIGNMENT: usize = 64;
/// Where the ABI repeats the descriptor's own address.
const REPEATED: usize = 16;

/// The descriptors of the threads, by thread number; those that are not found are not in it.
pub(crate) fn descriptors(maps: &Maps) -> HashMap<i32, usize> {
    let Some(offset) = number_offset() else {
        return HashMap::new();
    };
    let everything = crate::proc::spans::Span::new(0, usize::MAX);
    let stacks = maps
        .within(everything)
        .filter(|region| region.kind() == MappingKind::Anonymous && region.perms == "rw-p");
    stacks
        .filter_map(|region| at_the_end_of(region.span.end, offset))
        .collect()
}

/// Where our own descriptor holds our own number.
fn number_offset() -> Option<usize> {
    let own = bytes(nix::sys::pthread::pthread_self() as usize, LONGEST);
    let number = rustix::thread::gettid().as_raw_nonzero().get();
    let (words, _) = own.as_chunks::<{ size_of::<i32>() }>();
    let position = words
        .iter()
        .position(|word| i32::from_ne_bytes(*word) == number)?;
    Some(position * size_of::<i32>())
}

/// The descriptor that lies at the end of a region, if one does.
fn at_the_end_of(end: usize, offset: usize) -> Option<(i32, usize)> {
    let start = end - LONGEST;
    let memory = bytes(start, LONGEST);
    let word = |at: usize| {
        let word = memory.get(at..at + size_of::<usize>())?;
        Some(usize::from_ne_bytes(word.try_into().ok()?))
    };
    let is_descriptor = |at: &usize| {
        let address = start + at;
        word(*at) == Some(address) && word(at + REPEATED) == Some(address)
    };
    let at = (0..LONGEST).step_by(ALIGNMENT).find(is_descriptor)?;
    let number = memory.get(at + offset..at + offset + size_of::<i32>())?;
    Some((i32::from_ne_bytes(number.try_into().ok()?), start + at))
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
        let found = descriptors(&Maps::read().unwrap());
        drop(finish);
        assert!(worker.join().unwrap().is_err());
        assert_eq!(found.get(&number), Some(&descriptor));
    }
}
