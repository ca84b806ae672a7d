//! The magics in a Python that has neither NumPy nor IPython.

mod common;

#[test]
fn plain_python() {
    common::run(
        "plain_python.py",
        include_str!("python/plain_python.py"),
        common::Packages::None,
    );
}
