//! The descriptors of this process where they run out: some are kept for questions, since almost every answer is read
//! from a file.

use std::os::fd::OwnedFd;

use diaphane_forks::ProcessLock;
use rustix::event::{EventfdFlags, eventfd};

/// As many as one question has open at once, a folder and the files in it.
const KEPT: usize = 4;

static SPARE: ProcessLock<Vec<OwnedFd>> = ProcessLock::new(Vec::new);

/// Keeps some from now on.
pub fn keep_some() {
    let mut spare = SPARE.lock();
    while spare.len() < KEPT
        && let Ok(one) = eventfd(0, EventfdFlags::CLOEXEC)
    {
        spare.push(one);
    }
}

/// Asks something, with the descriptors that were kept for it where there are no others.
pub fn with_spare<T>(ask: impl FnOnce() -> T) -> T {
    /// Keeps as many again at the end, also at that of a panic.
    struct Restored;
    impl Drop for Restored {
        fn drop(&mut self) {
            keep_some();
        }
    }
    let _restored = Restored;
    if eventfd(0, EventfdFlags::CLOEXEC).is_err() {
        let given = std::mem::take(&mut *SPARE.lock());
        drop(given);
    }
    ask()
}
