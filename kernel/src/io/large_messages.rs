//! Memory that large messages have used, given back to the system when they are gone.
//!
//! malloc keeps what is freed for the next ones. That is right for most programs, and not for one that waits for hours
//! after somebody has looked at a large picture.

use std::sync::Weak;
use std::time::{Duration, Instant};

use diaphane_sight::runtimes::glibc_malloc;
use diaphane_wire::Message;

use crate::outbox::Parent;

/// Smaller messages leave no trace.
const LARGE: usize = 1 << 20;
/// Giving back costs the time of a walk over what is free: it is worth it for so much.
const WORTH: usize = 32 << 20;
/// How long nothing comes or goes before.
const PAUSE: Duration = Duration::from_secs(1);

/// The large messages since memory was given back last.
#[derive(Default)]
pub(super) struct LargeMessages {
    bytes: usize,
    /// Those that something may still have: the request that ran last is kept until the next one.
    kept: Vec<Weak<Message>>,
    due: Option<Instant>,
}

impl LargeMessages {
    /// A message of so many bytes came or was sent.
    pub(super) fn count(&mut self, bytes: usize) {
        if bytes >= LARGE {
            self.bytes = self.bytes.saturating_add(bytes);
        }
        if self.bytes >= WORTH || !self.kept.is_empty() {
            self.due = Some(Instant::now() + PAUSE);
        }
    }

    /// A request came, and is kept for a while.
    pub(super) fn keep(&mut self, request: &Parent) {
        if request.size() >= LARGE {
            self.kept.push(Parent::downgrade(request));
        }
    }

    /// When `give_back` has something to do.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Gives back what is free, if it is time. While a cell runs, its end is waited for, and then the pause again.
    pub(super) fn give_back(&mut self, is_idle: bool, is_all_read: bool) {
        let now = Instant::now();
        if self.due.is_none_or(|due| due > now) {
            return;
        }
        self.due = (!is_all_read).then(|| now + PAUSE);
        if is_idle && is_all_read {
            let before = self.kept.len();
            self.kept.retain(|request| request.strong_count() > 0);
            if self.bytes >= WORTH || self.kept.len() < before {
                glibc_malloc::give_back();
            }
            self.bytes = 0;
        }
    }
}
