//! The threads that work for the program and its recordings, and not for the user: known by their numbers, since anybody
//! may give a thread any name.

use std::marker::PhantomData;
use std::time::{Duration, Instant};

use diaphane_forks::ProcessLock;

/// Such a thread.
struct Own {
    tid: i32,
    /// When it said that it ends. Linux still lists it for a moment, and who has read the list asks a moment later.
    ended: Option<Instant>,
}

/// For so long after its end it is nobody else's. Linux gives its number to another thread when all others were used.
const MOMENT: Duration = Duration::from_secs(1);

/// All of them, in the process that they belong to.
static OWN: ProcessLock<(u32, Vec<Own>)> = ProcessLock::new(|| (0, Vec::new()));

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
        with_own(|own| {
            let this = own.iter_mut().find(|one| one.tid == self.tid);
            if let Some(one) = this {
                one.ended = Some(Instant::now());
            }
        });
    }
}

/// A thread works for the program for as long as both live.
pub fn add_own_thread(tid: i32) {
    with_own(|own| {
        own.retain(|one| one.tid != tid);
        own.push(Own { tid, ended: None });
    });
}

/// Whether a thread works for the program.
#[must_use]
pub fn is_own_thread(tid: i32) -> bool {
    with_own(|own| own.iter().any(|one| one.tid == tid))
}

fn with_own<T>(run: impl FnOnce(&mut Vec<Own>) -> T) -> T {
    let mut own = OWN.lock();
    // The child of a fork has none of them.
    if own.0 != std::process::id() {
        *own = (std::process::id(), Vec::new());
    }
    let is_past = |one: &Own| one.ended.is_some_and(|ended| ended.elapsed() > MOMENT);
    own.1.retain(|one| !is_past(one));
    run(&mut own.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_the_programs_as_long_as_it_says_so() {
        let thread = std::thread::spawn(|| {
            let tid = rustix::thread::gettid().as_raw_nonzero().get();
            assert!(!is_own_thread(tid));
            let own = OwnThread::begin();
            assert!(is_own_thread(tid));
            drop(own);
            tid
        });
        let tid = thread.join().unwrap();
        // Who has seen it while it was there may ask when it is gone.
        assert!(is_own_thread(tid));
        let a_moment_ago = Instant::now().checked_sub(2 * MOMENT);
        with_own(|own| own.iter_mut().for_each(|one| one.ended = a_moment_ago));
        assert!(!is_own_thread(tid));
    }
}
