//! Ends the system call in which the main thread waits with a signal that Python's handler has not seen.
//!
//! CPython looks for signals before such a call and after it. One that comes in between is noted, and would take effect
//! when the call has ended by itself. So another signal follows, which does nothing but end the call, as the first one
//! would have done a moment later; CPython looks again then.

use std::ffi::{c_int, c_void};
use std::sync::atomic::AtomicI32;
use std::time::{Duration, Instant};

use diaphane_sight::proc::tasks;
use diaphane_sight::unwind::{claim, send};

use crate::sigint;

/// How long after a signal, and then after each look, it is looked whether the main thread waits.
const PAUSES: [u64; 4] = [5, 15, 60, 240];
/// How often one signal may end a call: C code that begins it again each time gets to its end.
const MOST: u32 = 4;

/// The signal that is ours; 0 before the first one.
static SIGNAL: AtomicI32 = AtomicI32::new(0);

/// What was done about the latest signal that CPython has noted.
pub(super) struct Nudges {
    noted: u32,
    looked: Instant,
    looks: usize,
    sent: u32,
}

impl Nudges {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self::of(0)
    }

    fn of(noted: u32) -> Self {
        Self {
            noted,
            looked: Instant::now(),
            looks: 0,
            sent: 0,
        }
    }

    /// Ends the call if it is time. When to come again; never, where none is noted.
    pub(super) fn step(&mut self) -> Option<Duration> {
        let noted = sigint::noted();
        if noted != self.noted {
            *self = Self::of(noted);
        }
        if noted == 0 || self.sent == MOST {
            return None;
        }
        let left = self.pause().saturating_sub(self.looked.elapsed());
        if !left.is_zero() {
            return Some(left);
        }
        self.looks += 1;
        self.looked = Instant::now();
        // Where it runs there is no call to be ended, and where it waits for a CPU it has not come to its call.
        if main_thread_waits() {
            nudge();
            self.sent += 1;
        }
        Some(self.pause())
    }

    fn pause(&self) -> Duration {
        Duration::from_millis(PAUSES[self.looks.min(PAUSES.len() - 1)])
    }
}

/// Whether it may; where nobody can tell, it may.
fn main_thread_waits() -> bool {
    tasks::status(main_thread()).is_none_or(|status| status.sleeps)
}

fn nudge() {
    let Some(signal) = claim(&SIGNAL, do_nothing, sigint::calls()) else {
        return tracing::debug!("every real-time signal has an owner");
    };
    // Who blocks it may wait for it.
    if tasks::status(main_thread()).is_some_and(|status| status.blocks(signal)) {
        return;
    }
    if let Err(error) = send(main_thread(), signal, 0) {
        tracing::warn!(?error, "the main thread could not be reached");
    }
}

fn main_thread() -> i32 {
    std::process::id().cast_signed()
}

extern "C" fn do_nothing(_signal: c_int, _info: *mut libc::siginfo_t, _context: *mut c_void) {}
