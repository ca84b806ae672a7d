//! What must be installed before a cell can be compiled, and one sentence for each thing that is not.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The compiler that cells get.
pub struct Toolchain {
    /// `rustc --version`.
    pub version: String,
    /// The platform that it compiles for, which is this one.
    pub host: String,
    /// The compiler's own folder.
    pub sysroot: PathBuf,
    /// The sources of Rust's standard library, if the user has them.
    pub library: Option<PathBuf>,
    /// Rust's standard library as cells use it.
    pub libstd: PathBuf,
}

/// Looks for a compiler and a linker.
pub fn find() -> Result<Toolchain> {
    let Ok(about) = ask(&["-vV"]) else {
        bail!(
            "no Rust compiler was found: install Rust with \
             curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"
        );
    };
    if !is_on_path("cc") {
        bail!("no linker was found: install one, with apt install gcc or dnf install gcc");
    }
    let folder = ask(&["--print", "target-libdir"])?;
    let libstd = shared_std(Path::new(&folder)).with_context(|| {
        format!("{folder} has no libstd-*.so: this Rust cannot build libraries")
    })?;
    let sysroot = PathBuf::from(ask(&["--print", "sysroot"])?);
    let library = sysroot.join("lib/rustlib/src/rust/library");
    let mut lines = about.lines();
    let version = lines.next().unwrap_or_default().to_owned();
    let host = lines.find_map(|line| line.strip_prefix("host: "));
    Ok(Toolchain {
        version,
        host: host
            .context("rustc does not say what it compiles for")?
            .to_owned(),
        library: Some(library).filter(|library| library.join("std/src").is_dir()),
        sysroot,
        libstd,
    })
}

fn ask(words: &[&str]) -> Result<String> {
    let output = Command::new("rustc").args(words).output()?;
    if !output.status.success() {
        bail!("rustc {} failed", words.join(" "));
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

fn is_on_path(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn shared_std(folder: &Path) -> Option<PathBuf> {
    let files = folder.read_dir().ok()?.flatten();
    let mut found = files.map(|file| file.path()).filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("libstd-") && name.ends_with(".so")
    });
    found.next()
}
