//! What evcxr finds around it: its own folders and settings, and none of the user's.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::relay;
use crate::toolchain::Toolchain;

/// The support crate as it is written for cells.
const SUPPORT: &[(&str, &str)] = &[
    ("Cargo.toml", include_str!("../../cell/Cargo.toml")),
    ("src/abi.rs", include_str!("../../cell/src/abi.rs")),
    ("src/cell.rs", include_str!("../../cell/src/cell.rs")),
    ("src/give.rs", include_str!("../../cell/src/give.rs")),
    ("src/keep.rs", include_str!("../../cell/src/keep.rs")),
    ("src/lib.rs", include_str!("../../cell/src/lib.rs")),
    ("src/panics.rs", include_str!("../../cell/src/panics.rs")),
    ("src/recover.rs", include_str!("../../cell/src/recover.rs")),
    ("src/run.rs", include_str!("../../cell/src/run.rs")),
    ("src/show.rs", include_str!("../../cell/src/show.rs")),
    ("src/views.rs", include_str!("../../cell/src/views.rs")),
];

/// The folders of a session.
pub struct Folders {
    /// The support crate.
    pub support: PathBuf,
    /// The libraries of cells.
    pub cells: PathBuf,
    /// Where the relay writes.
    pub relay: PathBuf,
    /// A standard library without sources.
    pub no_sources: PathBuf,
    /// What cargo builds for this platform.
    pub target: PathBuf,
}

/// Prepares the folders and the environment. No other thread may run yet.
pub fn prepare(slot: &Path, toolchain: &Toolchain) -> Result<Folders> {
    let folders = Folders {
        support: slot.join("diaphane-cell"),
        // The linker takes libraries of one path for one, also after the first file is gone: a compiler that follows
        // another one in the same kernel must not use its paths again.
        cells: slot.join("cells").join(std::process::id().to_string()),
        relay: slot.join("library"),
        no_sources: slot.join("no-sources"),
        target: slot.join("target").join(&toolchain.host),
    };
    for (name, text) in SUPPORT {
        write(&folders.support.join(name), text)?;
    }
    // Without sources of the standard library evcxr would have rustup download them; empty ones are enough for it.
    for part in ["core", "alloc", "std"] {
        fs::create_dir_all(folders.no_sources.join(part))?;
    }
    let home = slot.join("home");
    fs::create_dir_all(&home)?;
    fs::create_dir_all(&folders.cells)?;
    set("RUST_SRC_PATH", &folders.no_sources);
    set("EVCXR_TMPDIR", slot);
    set("EVCXR_CONFIG_DIR", &home);
    set(relay::FILE, &folders.relay);
    // A kernel asks for colours, and evcxr knows cargo's lines without them only.
    set("CARGO_TERM_COLOR", "never");
    // A folder of the user's may have an evcxr.toml.
    env::set_current_dir(&home).context("cannot enter the folder to build in")?;
    Ok(folders)
}

/// Writes a file if it differs, so that cargo sees changes only.
fn write(path: &Path, text: &str) -> Result<()> {
    if fs::read_to_string(path).is_ok_and(|there| there == text) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

#[allow(
    unsafe_code,
    clippy::disallowed_methods,
    reason = "there is no safe way, evcxr reads it there, and no Python is in this process"
)]
fn set(name: &str, value: impl AsRef<OsStr>) {
    // SAFETY: `prepare` is called before any thread is started.
    unsafe { env::set_var(name, value) }
}
