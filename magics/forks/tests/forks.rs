//! Children of a process whose other threads hold locks.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(unsafe_code, reason = "the tests fork")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;

use diaphane_forks::{Handlers, Order, ProcessLock, register};

/// Whether a child says yes; one that waits for ever is ended by its alarm, and says no.
fn in_a_child(says: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child runs a few lines and ends without handlers.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: they take numbers only.
        unsafe { libc::alarm(20) };
        let code = i32::from(!says());
        // SAFETY: as above.
        unsafe { libc::_exit(code) };
    }
    let mut status = 0;
    // SAFETY: the child is ours, and the number is written to.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0
}

#[test]
fn a_lock_that_another_thread_holds_is_new_in_a_child() {
    static HELD: ProcessLock<Vec<i32>> = ProcessLock::new(Vec::new);
    static FREE: ProcessLock<Vec<i32>> = ProcessLock::new(Vec::new);
    HELD.lock().push(1);
    FREE.lock().push(2);
    let (taken, is_taken) = channel();
    let (end, ended) = channel::<()>();
    let holder = thread::spawn(move || {
        let mut guard = HELD.lock();
        guard.push(3);
        taken.send(()).unwrap();
        ended.recv().unwrap_err();
    });
    is_taken.recv().unwrap();
    assert!(in_a_child(|| HELD.lock().is_empty() && *FREE.lock() == [2]));
    drop(end);
    holder.join().unwrap();
    assert_eq!(*HELD.lock(), [1, 3]);
}

#[test]
fn a_lock_that_the_forking_thread_holds_stays_its_own() {
    static OWN: ProcessLock<i32> = ProcessLock::new(|| 0);
    let mut guard = OWN.lock();
    *guard = 7;
    let says = in_a_child(move || {
        drop(guard);
        *OWN.lock() == 7
    });
    assert!(says);
}

#[test]
fn a_panic_leaves_a_lock_free() {
    static LOCK: ProcessLock<i32> = ProcessLock::new(|| 5);
    let panicked = thread::spawn(|| {
        let _guard = LOCK.lock();
        panic!("on purpose");
    });
    panicked.join().unwrap_err();
    assert_eq!(*LOCK.lock(), 5);
    let guard = LOCK.lock();
    let soon = std::time::Duration::from_millis(1);
    assert!(
        thread::spawn(move || LOCK.try_lock_for(soon).is_none())
            .join()
            .unwrap()
    );
    assert!(thread::spawn(|| LOCK.try_lock().is_none()).join().unwrap());
    drop(guard);
}

/// One digit for each handler that ran.
static RAN: AtomicUsize = AtomicUsize::new(0);

fn run(digit: usize) {
    RAN.store(RAN.load(Ordering::Relaxed) * 10 + digit, Ordering::Relaxed);
}

#[test]
fn handlers_run_in_their_order_and_back() {
    static FIRST: Handlers = Handlers {
        before: || run(1),
        parent: || run(4),
        child: || run(6),
    };
    static LAST: Handlers = Handlers {
        before: || run(2),
        parent: || run(3),
        child: || run(5),
    };
    register(Order::LinkerWalk, &LAST);
    register(Order::LinkerEvents, &FIRST);
    // Other tests of this program may fork meanwhile: in a child nothing else runs.
    assert!(in_a_child(|| {
        RAN.store(0, Ordering::Relaxed);
        in_a_child(|| RAN.load(Ordering::Relaxed) == 1256) && RAN.load(Ordering::Relaxed) == 1234
    }));
}

#[test]
fn threads_take_turns() {
    static COUNT: ProcessLock<u64> = ProcessLock::new(|| 0);
    let count = || (0..20_000).for_each(|_| *COUNT.lock() += 1);
    thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(count))));
    assert_eq!(*COUNT.lock(), 80_000);
}

#[test]
fn a_lock_that_was_awaited_at_the_fork_is_taken_again_and_again_in_a_child() {
    static AWAITED: ProcessLock<u64> = ProcessLock::new(|| 0);
    let guard = AWAITED.lock();
    let waiting = thread::spawn(|| *AWAITED.lock() += 1);
    let says = in_a_child(move || {
        drop(guard);
        let both = thread::spawn(|| (0..1000).for_each(|_| *AWAITED.lock() += 1));
        (0..1000).for_each(|_| *AWAITED.lock() += 1);
        both.join().is_ok() && *AWAITED.lock() == 2000
    });
    assert!(says);
    // The guard went to the closure, which the parent has dropped.
    waiting.join().unwrap();
}
