//! `%buffer_addr` on every kind of object that exports memory.

mod common;

#[test]
fn buffer_kinds() {
    common::run(
        "buffer_kinds.py",
        include_str!("python/buffer_kinds.py"),
        common::Packages::OfPython,
    );
}
