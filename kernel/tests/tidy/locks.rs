//! Locks of the whole process.

use super::{complain, lines_with, rust_outside};

/// Tests, the process of the compiler, which never forks, and where such locks are made.
const OUTSIDE: &[&str] = &[
    "kernel/tests/",
    "magics/tests/",
    "magics/rust/",
    "magics/forks/",
];

#[test]
fn a_lock_of_the_whole_process_survives_forks() {
    complain(rust_outside(OUTSIDE), |source| {
        let is_test = source.path.contains("/tests/") || source.path.ends_with("/tests.rs");
        let mut found = lines_with(source, |line| {
            let line = line.trim_start();
            let is_static = line.starts_with("static ") || line.contains(" static ");
            is_static
                && !line.contains("RawForkMutex")
                && ["Mutex<", "RwLock<"].iter().any(|lock| line.contains(lock))
        });
        // It holds references to Python and is taken with the GIL only, which a fork by Python has.
        found.retain(|_| !is_test && source.path != "magics/cpython/src/events/mod.rs");
        found.extend(lines_with(source, |line| line.contains("pthread_atfork(")));
        found
    });
}

#[test]
fn nobody_waits_for_who_makes_a_value_once() {
    // Of the whole process or inside of something that threads share: either may be in the making at a fork.
    // The kernel's own are asked for in the kernel only, and Python's are made with the GIL.
    let outside: Vec<_> = OUTSIDE.iter().copied().chain(["kernel/src/"]).collect();
    complain(rust_outside(&outside), |source| {
        let is_test = source.path.contains("/tests/") || source.path.ends_with("tests.rs");
        let found = lines_with(source, |line| {
            let code = line.split("//").next().unwrap_or_default();
            let waits = ["LazyLock<", " OnceLock<", ": Once "];
            waits.iter().any(|once| code.contains(once))
        });
        if is_test { Vec::new() } else { found }
    });
}

#[test]
fn there_is_one_family_of_mutexes() {
    complain(rust_outside(OUTSIDE), |source| {
        let is_test = source.path.contains("/tests/") || source.path.ends_with("tests.rs");
        let found = lines_with(source, |line| {
            let code = line.split("//").next().unwrap_or_default();
            code.contains("PoisonError") || code.contains("std::sync") && code.contains("Mutex")
        });
        if is_test { Vec::new() } else { found }
    });
}
