//! The extension of JupyterLab: a folder of files, which a server finds beside the kernelspecs. `lab/` has its sources.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Its files by their path in the folder: what lies in `lab/dist`.
const FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/lab.rs"));

/// Its folder in the directory of Jupyter's data.
const FOLDER: &str = "labextensions/@diaphane/lab";

/// Puts the extension there, in the place of an older one, and says where. A link is somebody's who works on it.
pub(super) fn write(data: &Path) -> io::Result<PathBuf> {
    let folder = data.join(FOLDER);
    if folder.is_symlink() {
        return Ok(folder);
    }
    // The names of files change with their content, so the old ones have to go; a server never sees half of it.
    let new = folder.with_added_extension(format!("{}.new", std::process::id()));
    let written = write_files(&new).and_then(|()| {
        remove_folder(&folder)?;
        fs::rename(&new, &folder)
    });
    if written.is_err() {
        // The first error is the one to report; there may be nothing to remove.
        let _ = fs::remove_dir_all(&new);
    }
    written.map(|()| folder)
}

fn write_files(folder: &Path) -> io::Result<()> {
    for (name, content) in FILES {
        let path = folder.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, content)?;
    }
    Ok(())
}

/// Removes it, and says from where; a link is left alone.
pub(super) fn remove(data: &Path) -> io::Result<Option<PathBuf>> {
    let folder = data.join(FOLDER);
    if folder.is_symlink() || !folder.exists() {
        return Ok(None);
    }
    remove_folder(&folder)?;
    // The folder of the name's first half, where nobody else has anything in it.
    let _ = folder.parent().map(fs::remove_dir);
    Ok(Some(folder))
}

fn remove_folder(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Whether a kernel of ours still lies in this directory, whose panel it is.
pub(super) fn is_needed(data: &Path) -> bool {
    let kernels = fs::read_dir(data.join("kernels"));
    kernels
        .into_iter()
        .flatten()
        .flatten()
        .any(|entry| super::is_ours(&entry.path()) == Some(true))
}
