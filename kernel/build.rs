//! Links the kernel to the chosen Python, and libzmq's own needs into the binary.

#[path = "../magics/cpython/link_python.rs"]
mod link_python;

#[path = "link_statically.rs"]
mod link_statically;

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    link_python::link();
    name_the_python();
    println!("cargo:rerun-if-changed=python");
    write("modules.rs", list_modules().as_bytes());
    write("modules.bin", &compile_modules());
    println!("cargo:rerun-if-changed=../lab/dist");
    write("lab.rs", list_extension().as_bytes());
    link_statically::libraries_of_zmq();
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

/// The modules of the package with their sources, as the list that `embed/modules.rs` includes.
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
            // The program's command line is `main.rs`.
            "__main__" => return None,
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

/// The files of the extension of JupyterLab, as the list that `install/lab.rs` includes.
fn list_extension() -> String {
    let folder = Path::new("../lab/dist").canonicalize().unwrap_or_default();
    let mut folders = vec![folder.clone()];
    let mut files = Vec::new();
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                &mut folders
            } else {
                &mut files
            }
            .push(path);
        }
    }
    assert!(!files.is_empty(), "{} has no files", folder.display());
    files.sort();
    let line = |path: &std::path::PathBuf| {
        let name = path.strip_prefix(&folder).ok()?.to_str()?;
        Some(format!("({name:?}, include_bytes!({path:?})),\n"))
    };
    format!("&[\n{}]", files.iter().filter_map(line).collect::<String>())
}

fn write(name: &str, bytes: &[u8]) {
    let output = Path::new(&std::env::var("OUT_DIR").unwrap_or_default()).join(name);
    assert!(
        std::fs::write(&output, bytes).is_ok(),
        "{} cannot be written",
        output.display()
    );
}
