//! Hooks at the entries of functions, under fire, against what the processor, the file and NumPy say.
#![cfg(target_arch = "x86_64")]

mod common;
mod hooks;

#[test]
fn native_deep() {
    pyo3::Python::initialize();
    hooks::install();
    common::run(
        "native_deep.py",
        include_str!("python/native_deep.py"),
        common::Packages::OfPython,
    );
}
