//! `%addr_map` against `/proc`, pmap and NumPy.

mod common;

#[test]
fn addr_map() {
    common::run(
        "addr_map.py",
        include_str!("python/addr_map.py"),
        common::Packages::OfPython,
    );
}
