//! `%%trace_loads` against what the linker lists and what C fixtures do, in a plain Python.

mod common;

#[test]
fn trace_loads() {
    common::run(
        "trace_loads.py",
        include_str!("python/trace_loads.py"),
        common::Packages::OfPython,
    );
}
