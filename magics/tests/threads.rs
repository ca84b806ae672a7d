//! `%threads` against what Python, the kernel and other tools say.

mod common;

#[test]
fn threads() {
    common::run(
        "threads.py",
        include_str!("python/threads.py"),
        common::Packages::OfPython,
    );
}
