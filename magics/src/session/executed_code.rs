//! The code that is executed, kept alive for those who read it a moment later: samples are read when the code of a cell, or
//! of a module, may have ended, and other objects would lie in its place.

use std::sync::atomic::{AtomicBool, Ordering};

use diaphane_forks::{ProcessLock, ProcessLockGuard};
use pyo3::prelude::*;

/// A program that executes more pieces of code than these makes them in a loop.
const MOST: usize = 100_000;

static IS_ON: AtomicBool = AtomicBool::new(false);
static EXECUTED: ProcessLock<Vec<Py<PyAny>>> = ProcessLock::new(Vec::new);

/// What is executed stays alive as long as this does.
pub(crate) struct Kept(());

/// Keeps what is executed from now on.
pub(crate) fn keep() -> Kept {
    IS_ON.store(true, Ordering::Relaxed);
    Kept(())
}

/// Whether somebody wants it.
pub(crate) fn is_kept() -> bool {
    IS_ON.load(Ordering::Relaxed)
}

/// Hears that something is executed, by the arguments of the audit event.
pub(crate) fn keep_too(args: Option<&Bound<'_, PyAny>>) {
    let code = args.and_then(|args| args.get_item(0).ok());
    let mut executed = lock();
    if executed.len() < MOST {
        executed.extend(code.map(Bound::unbind));
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        IS_ON.store(false, Ordering::Relaxed);
        // Nobody waits for the lock while Python frees them.
        let executed = std::mem::take(&mut *lock());
        drop(executed);
    }
}

fn lock() -> ProcessLockGuard<'static, Vec<Py<PyAny>>> {
    EXECUTED.lock()
}
