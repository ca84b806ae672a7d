//! Notifies another thread: an eventfd, which `zmq::poll` and asyncio can both wait for.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::event::{EventfdFlags, eventfd};

/// Rung by any thread, waited for by one.
pub struct Notifier(OwnedFd);

impl Notifier {
    /// A notifier without a notification.
    ///
    /// # Errors
    /// When the process has no file descriptor left.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self(eventfd(
            0,
            EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK,
        )?))
    }

    /// Rings. Several rings before the next `clear` are one.
    pub fn notify(&self) {
        ring(self.0.as_fd());
    }

    /// Takes the notifications.
    pub fn clear(&self) {
        // The read fails only where nobody rang.
        let _silent = rustix::io::read(&self.0, &mut [0_u8; 8]);
    }
}

/// Rings a notifier by its descriptor, as a signal handler may.
pub(crate) fn ring(notifier: BorrowedFd<'_>) {
    // The write fails only where the counter is full, and then it is readable already.
    let _full = rustix::io::write(notifier, &1_u64.to_ne_bytes());
}

impl AsRawFd for Notifier {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl AsFd for Notifier {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
