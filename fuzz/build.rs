//! Links libstdc++ for `cargo fuzz`: libFuzzer needs it, and `.cargo/config.toml` keeps crates from linking it themselves.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_CFG_FUZZING").is_some() {
        println!("cargo:rustc-link-lib=stdc++");
    }
}
