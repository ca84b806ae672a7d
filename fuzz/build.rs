//! Links libpython, and libstdc++ for `cargo fuzz`: libFuzzer needs it, and `.cargo/config.toml` keeps crates from linking it themselves.

#[path = "../magics/cpython/link_python.rs"]
mod link_python;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    link_python::link();
    if std::env::var_os("CARGO_CFG_FUZZING").is_some() {
        println!("cargo:rustc-link-lib=stdc++");
    }
}
