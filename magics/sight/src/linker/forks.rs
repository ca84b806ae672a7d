//! Walks over the linker's list, which no fork interrupts.
//!
//! The linker holds a lock during a walk. A child that another thread forks meanwhile inherits the lock and not the
//! thread, and could never load anything. So a fork waits for the walk, which takes microseconds.

use std::ffi::{c_int, c_void};

use diaphane_forks::{Handlers, Order, RawForkMutex, register};
use parking_lot::RawThreadId;
use parking_lot::lock_api::RawReentrantMutex;

/// Held during every walk, and across every fork. The same thread may take it again, since a walk may lead to another.
static WALKING: RawReentrantMutex<RawForkMutex, RawThreadId> = RawReentrantMutex::INIT;

type Callback = unsafe extern "C" fn(*mut libc::dl_phdr_info, libc::size_t, *mut c_void) -> c_int;

/// Calls `dl_iterate_phdr`.
///
/// # Safety
///
/// The callback must be sound for the data, and must not unwind.
#[allow(unsafe_code, reason = "C functions with callbacks")]
pub(super) unsafe fn iterate(callback: Callback, data: *mut c_void) {
    watch_forks();
    WALKING.lock();
    // SAFETY: by the caller's word.
    unsafe { libc::dl_iterate_phdr(Some(callback), data) };
    // SAFETY: taken above by this thread.
    unsafe { WALKING.unlock() };
}

fn watch_forks() {
    static HANDLERS: Handlers = Handlers {
        before: || WALKING.lock(),
        parent: release,
        child: release,
    };
    register(Order::LinkerWalk, &HANDLERS);
}

#[allow(unsafe_code, reason = "a lock without a guard")]
fn release() {
    // SAFETY: taken before the fork by this thread, the only one of a child.
    unsafe { WALKING.unlock() };
}

/// Runs something that no fork interrupts, so that a child never inherits a lock that it holds. It must be short.
pub(super) fn while_nobody_forks<T>(run: impl FnOnce() -> T) -> T {
    /// Gives the lock back, also after a panic.
    struct Held;
    impl Drop for Held {
        #[allow(unsafe_code, reason = "a lock without a guard")]
        fn drop(&mut self) {
            // SAFETY: taken below by this thread.
            unsafe { WALKING.unlock() };
        }
    }
    watch_forks();
    WALKING.lock();
    let _held = Held;
    run()
}
