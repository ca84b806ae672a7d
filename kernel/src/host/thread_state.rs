//! The thread state that Python keeps for a thread of ours, made so that no child inherits it half made.
//!
//! Python lists its thread states under a lock. Its own threads take it with the GIL, which a fork by Python has too; a
//! thread that comes from outside takes it without. CPython 3.11 waits for that lock in the child, where nobody gives it
//! back: the child hangs before its first line. So each thread has one state for its whole life, and a fork waits for it.

use diaphane_forks::{Handlers, Order, RawForkMutex, register};
use parking_lot::lock_api::RawMutex;
use pyo3::{Python, ffi};

/// Held while a state is made, and across every fork.
static MAKING: RawForkMutex = RawForkMutex::INIT;

/// Runs with Python on a thread that was started outside of it.
#[allow(unsafe_code, reason = "Python's interface for threads")]
pub(super) fn attach<T>(run: impl FnOnce(Python<'_>) -> T) -> T {
    let state = make();
    // It finds the state of this thread, or makes one where there was no memory for it before.
    let result = Python::attach(run);
    if state.is_null() {
        return result;
    }
    // SAFETY: the state is this thread's, and nothing of Python runs on it any more.
    unsafe { ffi::PyEval_RestoreThread(state) };
    // SAFETY: as above; the thread has the GIL now.
    unsafe { ffi::PyThreadState_Clear(state) };
    // SAFETY: as above; it gives the GIL back.
    unsafe { ffi::PyThreadState_DeleteCurrent() };
    result
}

#[allow(unsafe_code, reason = "Python's interface for threads")]
fn make() -> *mut ffi::PyThreadState {
    static HANDLERS: Handlers = Handlers {
        before: || MAKING.lock(),
        parent: give_back,
        child: give_back,
    };
    register(Order::PythonThread, &HANDLERS);
    MAKING.lock();
    // SAFETY: Python runs until the process ends.
    let interpreter = unsafe { ffi::PyInterpreterState_Main() };
    // SAFETY: it needs no GIL, and this thread has no state yet.
    let state = unsafe { ffi::PyThreadState_New(interpreter) };
    give_back();
    state
}

#[allow(unsafe_code, reason = "a lock without a guard")]
fn give_back() {
    // SAFETY: taken by this thread, which is the only one of a child.
    unsafe { MAKING.unlock() };
}
