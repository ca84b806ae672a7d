//! `%buffer_addr` against what Python, the kernel and other tools say.

mod common;

#[test]
fn buffer_addr() {
    common::run(
        "buffer_addr.py",
        include_str!("python/buffer_addr.py"),
        common::Packages::OfPython,
    );
}
