//! The user's answers to `input()`: the io thread brings them, the thread that asked waits for them.

use parking_lot::Mutex;

use crate::notifier::Notifier;

/// The place where an answer is handed over.
pub struct Input {
    answer: Mutex<Option<String>>,
    notifier: Notifier,
}

impl Input {
    /// No answer yet.
    ///
    /// # Errors
    /// When the process has no file descriptor left.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self {
            answer: Mutex::default(),
            notifier: Notifier::new()?,
        })
    }

    /// Forgets an answer that nobody waited for: it belongs to an earlier question.
    pub fn forget(&self) {
        *self.answer.lock() = None;
        self.notifier.clear();
    }

    /// Hands an answer over.
    pub fn deliver(&self, answer: String) {
        *self.answer.lock() = Some(answer);
        self.notifier.notify();
    }

    /// Waits for the answer. `None` when a signal came first: look at the signal, then wait on.
    pub fn wait(&self) -> Option<String> {
        use rustix::event::{PollFd, PollFlags, poll};
        if poll(&mut [PollFd::new(&self.notifier, PollFlags::IN)], None).is_err() {
            return None;
        }
        self.notifier.clear();
        self.answer.lock().take()
    }
}
