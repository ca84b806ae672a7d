//! The lock itself: one word, on which threads wait by a futex.
//!
//! It is not parking_lot's, which hands a lock over to the thread that waits for longest, and keeps those that wait in a
//! table with locks of its own. A child has the table and not the threads: there a lock would be handed to nobody.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use parking_lot::lock_api::{self, GuardNoSend};
use rustix::thread::futex::{Flags, Timespec, wait, wake};

const FREE: u32 = 0;
const HELD: u32 = 1;
/// Held, and somebody may wait for it; in a child perhaps nobody any more.
const AWAITED: u32 = 2;

/// A mutex without content, for `lock_api`.
#[derive(Debug)]
pub struct RawForkMutex(AtomicU32);

impl RawForkMutex {
    /// Whether it was taken before a moment.
    fn wait(&self, until: Option<Instant>) -> bool {
        while self.0.swap(AWAITED, Ordering::Acquire) != FREE {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return false;
            }
            let left = left.and_then(|left| Timespec::try_from(left).ok());
            // It ends where the word changes or the time is over, and may end earlier.
            let _ = wait(&self.0, Flags::PRIVATE, AWAITED, left.as_ref());
        }
        true
    }
}

#[allow(unsafe_code, reason = "the trait is unsafe to implement")]
// SAFETY: only one thread at a time changes the word from `FREE`.
unsafe impl lock_api::RawMutex for RawForkMutex {
    const INIT: Self = Self(AtomicU32::new(FREE));
    type GuardMarker = GuardNoSend;

    fn lock(&self) {
        let _ = self.try_lock() || self.wait(None);
    }

    fn try_lock(&self) -> bool {
        let taken = self
            .0
            .compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed);
        taken.is_ok()
    }

    unsafe fn unlock(&self) {
        if self.0.swap(FREE, Ordering::Release) == AWAITED {
            let _ = wake(&self.0, Flags::PRIVATE, 1);
        }
    }

    fn is_locked(&self) -> bool {
        self.0.load(Ordering::Relaxed) != FREE
    }
}

#[allow(unsafe_code, reason = "the trait is unsafe to implement")]
// SAFETY: as above.
unsafe impl lock_api::RawMutexTimed for RawForkMutex {
    type Duration = Duration;
    type Instant = Instant;

    fn try_lock_for(&self, timeout: Duration) -> bool {
        self.try_lock_until(Instant::now() + timeout)
    }

    fn try_lock_until(&self, until: Instant) -> bool {
        lock_api::RawMutex::try_lock(self) || self.wait(Some(until))
    }
}
