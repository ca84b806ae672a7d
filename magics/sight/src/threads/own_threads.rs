//! The threads that work for the program and its recordings, and not for the user: known by their numbers, since anybody
//! may give a thread any name.

use std::marker::PhantomData;

use diaphane_forks::ProcessLock;

/// Their numbers, in the process that they belong to.
static OWN: ProcessLock<(u32, Vec<i32>)> = ProcessLock::new(|| (0, Vec::new()));

/// The calling thread works for the program, until this is dropped.
#[derive(Debug)]
#[must_use]
pub struct OwnThread {
    tid: i32,
    /// It is dropped on the same thread.
    here: PhantomData<*const ()>,
}

impl OwnThread {
    /// Begins.
    pub fn begin() -> Self {
        let tid = rustix::thread::gettid().as_raw_nonzero().get();
        add_own_thread(tid);
        Self {
            tid,
            here: PhantomData,
        }
    }
}

impl Drop for OwnThread {
    fn drop(&mut self) {
        with_own(|own| own.retain(|tid| *tid != self.tid));
    }
}

/// A thread works for the program for as long as both live.
pub fn add_own_thread(tid: i32) {
    with_own(|own| own.push(tid));
}

/// Whether a thread works for the program.
#[must_use]
pub fn is_own_thread(tid: i32) -> bool {
    with_own(|own| own.contains(&tid))
}

fn with_own<T>(run: impl FnOnce(&mut Vec<i32>) -> T) -> T {
    let mut own = OWN.lock();
    // The child of a fork has none of them.
    if own.0 != std::process::id() {
        *own = (std::process::id(), Vec::new());
    }
    run(&mut own.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_the_programs_as_long_as_it_says_so() {
        let tid = rustix::thread::gettid().as_raw_nonzero().get();
        assert!(!is_own_thread(tid));
        let own = OwnThread::begin();
        assert!(is_own_thread(tid));
        drop(own);
        assert!(!is_own_thread(tid));
    }
}
