//! For build scripts: libzmq's own needs, put into what is linked.
//!
//! libstdc++ and libsodium are linked statically, so that the kernel brings no library into the user's process that
//! an extension module could meet in another version.

use std::process::Command;

/// libstdc++ and libsodium; a build for other machines names its own words for the linker by `DIAPHANE_CXX_ARCHIVES`.
pub fn libraries_of_zmq() {
    println!("cargo:rerun-if-env-changed=CXXFLAGS");
    println!("cargo:rerun-if-env-changed=DIAPHANE_CXX_ARCHIVES");
    if let Ok(words) = std::env::var("DIAPHANE_CXX_ARCHIVES") {
        for word in words.split_whitespace() {
            println!("cargo:rustc-link-arg={word}");
        }
        return;
    }
    link("libstdc++.a", "install g++");
    if std::env::var("CXXFLAGS").is_ok_and(|flags| flags.contains("ZMQ_USE_LIBSODIUM")) {
        link(
            "libsodium.a",
            "install libsodium-dev, or build without CURVE by CXXFLAGS=",
        );
    }
}

/// Adds an archive at the end of the linker's command, where it serves the crates named before it.
fn link(archive: &str, remedy: &str) {
    let output = Command::new("cc")
        .arg(format!("-print-file-name={archive}"))
        .output();
    let path = output
        .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        .unwrap_or_default();
    // The compiler answers with the bare name where it knows no such file.
    assert!(path.contains('/'), "{archive} was not found: {remedy}");
    println!("cargo:rustc-link-arg={path}");
}
