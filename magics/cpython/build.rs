//! Lets the tests of this crate find the libpython they were linked to, and tells the crate for which Python it is built.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    pyo3_build_config::use_pyo3_cfgs();
    pyo3_build_config::add_libpython_rpath_link_args();
}
