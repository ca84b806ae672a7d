//! A thread that helps for as long as a recording lasts.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use diaphane_sight::threads::OwnThread;
use diaphane_sight::unwind::leave_signals;

/// The thread; it ends when this is dropped.
#[derive(Debug)]
pub struct Helper<T> {
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<T>>,
    process: u32,
}

/// What the thread asks between two steps.
#[derive(Debug)]
pub struct Shift(Arc<AtomicBool>);

impl Shift {
    /// Waits a little; says whether there is still something to do.
    #[must_use]
    pub fn goes_on(&self, pause: Duration) -> bool {
        if !self.0.load(Ordering::Relaxed) {
            std::thread::park_timeout(pause);
        }
        !self.0.load(Ordering::Relaxed)
    }
}

impl<T: Send + 'static> Helper<T> {
    /// Begins; without a thread to spare nobody helps.
    pub fn begin(name: &str, work: impl FnOnce(&Shift) -> T + Send + 'static) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let shift = Shift(Arc::clone(&ended));
        let builder = std::thread::Builder::new().name(name.into());
        let (begun, has_begun) = mpsc::channel::<()>();
        let thread = builder.spawn(move || {
            leave_signals();
            let _own = OwnThread::begin();
            drop(begun);
            work(&shift)
        });
        // Who counts threads from now on must know that this one is ours.
        let _dropped = has_begun.recv();
        Self {
            ended,
            thread: thread.ok(),
            process: std::process::id(),
        }
    }
}

impl<T> Helper<T> {
    /// Ends it, and gives what it made, if there was one.
    pub fn end(mut self) -> Option<T> {
        self.stop()
    }

    fn stop(&mut self) -> Option<T> {
        self.ended.store(true, Ordering::Relaxed);
        let thread = self.thread.take()?;
        if self.process != std::process::id() {
            // The child of a fork has no such thread to wait for.
            std::mem::forget(thread);
            return None;
        }
        thread.thread().unpark();
        thread.join().ok()
    }
}

impl<T> Drop for Helper<T> {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_gives_what_it_made() {
        let helper = Helper::begin("helper", |shift| {
            let mut steps = 1;
            while shift.goes_on(Duration::from_secs(60)) {
                steps += 1;
            }
            steps
        });
        assert_eq!(helper.end(), Some(1));
    }
}
