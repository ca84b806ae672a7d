//! Lets the tests of this crate find the libpython they were linked to, and tells the crate for which Python it is built.

mod link_python;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    pyo3_build_config::use_pyo3_cfgs();
    link_python::link();
}
