//! The one `pthread_atfork` of the program, and what it runs.

use std::cell::Cell;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use crate::lock;

/// What is done around a fork. The functions run in C's context: they must not panic, and `child` neither allocates nor
/// waits for another thread.
#[derive(Debug)]
pub struct Handlers {
    /// Before the fork, on the thread that forks.
    pub before: fn(),
    /// Behind it, on the same thread.
    pub parent: fn(),
    /// In the child, on its only thread.
    pub child: fn(),
}

/// In which order `before` runs; the others run the other way round. It is the order in which these locks may be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// A recording of the dynamic linker ends in children.
    LinkerEvents,
    /// Pointers of the global offset tables lead to their functions again.
    GotHooks,
    /// Code that is being changed is changed to the end, and is the file's again in children.
    InlineHooks,
    /// A walk over the dynamic linker's list ends.
    LinkerWalk,
    /// A thread state of Python is listed whole.
    PythonThread,
}

const ORDERS: usize = 5;

static REGISTERED: [AtomicPtr<Handlers>; ORDERS] =
    [const { AtomicPtr::new(ptr::null_mut()) }; ORDERS];

static IS_CHILD: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// Those whose `before` ran for the fork that this thread makes.
    static RUNNING: [Cell<Option<&'static Handlers>>; ORDERS] =
        const { [const { Cell::new(None) }; ORDERS] };
}

/// From now on these run around every fork.
pub fn register(order: Order, handlers: &'static Handlers) {
    REGISTERED[order as usize].store(ptr::from_ref(handlers).cast_mut(), Ordering::Release);
    watch();
}

/// Whether this process is a child that was forked after `watch`: it has one thread only, and whatever lock another one
/// held stays held, unless it is a [`ProcessLock`](crate::ProcessLock).
pub fn is_child() -> bool {
    IS_CHILD.load(Ordering::Relaxed)
}

/// Has the C library call us at forks.
#[allow(unsafe_code, reason = "a C function with callbacks")]
pub fn watch() {
    static WATCHED: AtomicBool = AtomicBool::new(false);
    if !WATCHED.swap(true, Ordering::AcqRel) {
        // SAFETY: the functions live as long as the program. Where there is no memory to note them, forks are as they
        // were without us.
        unsafe { libc::pthread_atfork(Some(before), Some(parent), Some(child)) };
    }
}

#[allow(unsafe_code, reason = "called by the C library")]
unsafe extern "C" fn before() {
    RUNNING.with(|running| {
        for (one, registered) in running.iter().zip(&REGISTERED) {
            // SAFETY: it is null, or was given as a reference that lives for ever.
            let handlers = unsafe { registered.load(Ordering::Acquire).as_ref() };
            one.set(handlers);
            if let Some(handlers) = handlers {
                (handlers.before)();
            }
        }
    });
}

#[allow(unsafe_code, reason = "called by the C library")]
unsafe extern "C" fn parent() {
    after(|handlers| (handlers.parent)());
}

#[allow(unsafe_code, reason = "called by the C library")]
unsafe extern "C" fn child() {
    IS_CHILD.store(true, Ordering::Relaxed);
    lock::renew();
    after(|handlers| (handlers.child)());
}

fn after(run: impl Fn(&Handlers)) {
    RUNNING.with(|running| {
        let begun = running.iter().rev().filter_map(Cell::take);
        begun.for_each(run);
    });
}
