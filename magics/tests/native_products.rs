//! Each call of BLAS is seen, whichever kernels it has.
#![cfg(target_arch = "x86_64")]

mod common;
mod hooks;

use std::process::Command;

/// In this the children find that they are the ones to multiply.
const CHILD: &str = "DIAPHANE_TEST_MULTIPLIES";

#[test]
fn native_products() {
    if std::env::var_os(CHILD).is_some() {
        return multiply();
    }
    // The kernels are chosen when the library is loaded.
    let has_avx512 = std::arch::is_x86_feature_detected!("avx512f");
    let cores = ["Prescott", "Haswell", "SkylakeX"];
    let cores = &cores[..if has_avx512 { 3 } else { 2 }];
    for core in cores {
        let program = std::env::current_exe().unwrap();
        let mut child = Command::new(program);
        child.env("OPENBLAS_CORETYPE", core).env(CHILD, "1");
        let output = child.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{core}: {text}");
    }
}

fn multiply() {
    pyo3::Python::initialize();
    hooks::install();
    common::run(
        "native_products.py",
        include_str!("python/native_products.py"),
        common::Packages::OfPython,
    );
}
