//! `%where` against what NumPy, the symbol tables and the interpreter say.

mod common;

#[test]
fn where_func() {
    common::run(
        "where_func.py",
        include_str!("python/where_func.py"),
        common::Packages::OfPython,
    );
}
