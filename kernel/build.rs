//! Links the kernel to the chosen Python, and libzmq's own needs into the binary.
//!
//! libstdc++ and libsodium are linked statically, so that the kernel brings no library into the user's process that
//! an extension module could meet in another version.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=CXXFLAGS");
    // Without the rpath, ld.so would silently take another libpython of the same minor version (a distribution's).
    pyo3_build_config::add_libpython_rpath_link_args();
    name_the_python();
    println!("cargo:rerun-if-changed=python");
    write("modules.rs", list_modules().as_bytes());
    write("modules.bin", &compile_modules());
    link_statically("libstdc++.a", "install g++");
    if std::env::var("CXXFLAGS").is_ok_and(|flags| flags.contains("ZMQ_USE_LIBSODIUM")) {
        link_statically(
            "libsodium.a",
            "install libsodium-dev, or build without CURVE by CXXFLAGS=",
        );
    }
}

/// Tells the installer which Python the binary is for (kernel/src/python.rs).
fn name_the_python() {
    let python = pyo3_build_config::get();
    let version = python.version();
    println!("cargo:rustc-env=DIAPHANE_PYTHON_VERSION={version}");
    println!(
        "cargo:rustc-env=DIAPHANE_PYTHON={}",
        python.executable().unwrap_or("python3")
    );
    println!(
        "cargo:rustc-env=DIAPHANE_LIBPYTHON_DIR={}",
        python.lib_dir().unwrap_or_default()
    );
}

/// The modules of the package with their sources, as the list that `host/embedded.rs` includes.
fn list_modules() -> String {
    let folder = Path::new("python/diaphane").canonicalize();
    let entries = folder.and_then(std::fs::read_dir);
    let entries = entries.into_iter().flatten().flatten();
    let mut files: Vec<_> = entries.map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|end| end == "py"));
    files.sort();
    let line = |path: &std::path::PathBuf| {
        let name = match path.file_stem()?.to_str()? {
            "__init__" => "diaphane".to_owned(),
            stem => format!("diaphane.{stem}"),
        };
        Some(format!("({name:?}, include_str!({path:?})),\n"))
    };
    format!("&[\n{}]", files.iter().filter_map(line).collect::<String>())
}

/// Compiles the Python part of the kernel: at the start, every millisecond counts.
///
/// Where that fails the file is empty, and the kernel compiles the sources by itself.
fn compile_modules() -> Vec<u8> {
    let python = pyo3_build_config::get();
    let compiled = Command::new(python.executable().unwrap_or("python3"))
        .args(["-I", "python/compile.py", "python/diaphane"])
        .output();
    compiled.map(|done| done.stdout).unwrap_or_default()
}

fn write(name: &str, bytes: &[u8]) {
    let output = Path::new(&std::env::var("OUT_DIR").unwrap_or_default()).join(name);
    assert!(
        std::fs::write(&output, bytes).is_ok(),
        "{} cannot be written",
        output.display()
    );
}

/// Adds an archive at the end of the linker's command, where it serves the crates named before it.
fn link_statically(archive: &str, remedy: &str) {
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
