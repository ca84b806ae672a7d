//! Children of a process whose other threads ask questions at the moment of the fork.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(unsafe_code, reason = "the test forks")]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use diaphane_sight::code::symbols::Table;
use diaphane_sight::linker::libraries;
use diaphane_sight::packages;
use diaphane_sight::proc::maps::Maps;
use diaphane_sight::threads::threads;

/// Forks so often.
const FORKS: usize = 60;

/// Asks what a magic would, through most of the process-wide locks; how many libraries there are.
fn ask() -> usize {
    let maps = Maps::read().unwrap();
    let loaded = libraries::loaded(&maps).unwrap();
    for library in &loaded {
        let _ = Table::of(library).named(0).places().count();
        if let Some(path) = &library.file {
            let _ = packages::owner(path);
        }
    }
    threads(&loaded, &maps).unwrap();
    loaded.len()
}

#[test]
fn a_child_can_ask_whatever_other_threads_were_asking() {
    let (stop, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    let expected = ask();
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    ask();
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let answers: Vec<i32> = (0..FORKS).map(|_| answer_of_a_child(expected)).collect();
        stop.store(true, Ordering::Relaxed);
        assert_eq!(answers, [0; FORKS]);
    });
    assert!(asked.load(Ordering::Relaxed) > 0);
}

/// 0 if it has the same libraries. One that waits for ever is ended by its alarm, whose number is the answer.
fn answer_of_a_child(expected: usize) -> i32 {
    // SAFETY: the child asks, and ends without handlers.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: they take numbers only.
        unsafe { libc::alarm(60) };
        let code = i32::from(ask() != expected);
        // SAFETY: as above.
        unsafe { libc::_exit(code) };
    }
    let mut status = 0;
    // SAFETY: the child is ours, and the number is written to.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    status
}
