//! A folder to build in. It is kept for the next session, so that dependencies are compiled once; two kernels at a time
//! take two of them.

use std::env;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// So many kernels can have Rust cells at once.
const MOST: usize = 64;

/// A folder that this process alone builds in.
pub struct Slot {
    pub folder: PathBuf,
    _lock: File,
}

/// Takes the first free folder.
pub fn take() -> Result<Slot> {
    let root = root()?;
    for number in 0..MOST {
        let folder = root.join(format!("slot-{number}"));
        let written = fs::create_dir_all(&folder).and_then(|()| File::create(folder.join("lock")));
        let lock = written.with_context(|| {
            format!(
                "Rust cells are built in {}, which cannot be written: set DIAPHANE_RUST_CACHE to another folder \
                 before the kernel starts",
                folder.display()
            )
        })?;
        match lock.try_lock() {
            Ok(()) => {
                clean(&folder);
                return Ok(Slot {
                    folder,
                    _lock: lock,
                });
            }
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", folder.display()));
            }
        }
    }
    bail!("{MOST} kernels have Rust cells already")
}

/// Removes the libraries of a session that ended; its process is gone, since it no longer holds the lock.
fn clean(folder: &Path) {
    // What cannot be removed is in nobody's way.
    let _ = fs::remove_dir_all(folder.join("cells"));
}

fn root() -> Result<PathBuf> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty());
    let cache = match (
        set("DIAPHANE_RUST_CACHE"),
        set("XDG_CACHE_HOME"),
        set("HOME"),
    ) {
        (Some(own), _, _) => return Ok(PathBuf::from(own)),
        (_, Some(cache), _) => PathBuf::from(cache),
        (_, _, Some(home)) => PathBuf::from(home).join(".cache"),
        _ => bail!("neither HOME nor XDG_CACHE_HOME is set: set DIAPHANE_RUST_CACHE to a folder"),
    };
    Ok(cache.join("diaphane/rust"))
}
