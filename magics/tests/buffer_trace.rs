//! `%%buffer_trace` against sizes, addresses and `tracemalloc`, in a plain Python.

mod common;

#[test]
fn buffer_trace() {
    common::run(
        "buffer_trace.py",
        include_str!("python/buffer_trace.py"),
        common::Packages::OfPython,
    );
}
