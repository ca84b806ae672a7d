//! `%loaded_libs` against what Python, the kernel and other tools say.

mod common;

#[test]
fn loaded_libs() {
    common::run(
        "loaded_libs.py",
        include_str!("python/loaded_libs.py"),
        common::Packages::OfPython,
    );
}
