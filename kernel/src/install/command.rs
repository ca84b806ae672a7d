//! The command `diaphane` for a shell: a link beside the programs of the place that the kernel is installed into.
//!
//! It asks running kernels, and shows the stacks of processes. What somebody else has put there is left alone.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::{BINARY, replace};

/// Where the command of a kernelspec's directory lies: in `bin`, where that is in `PREFIX/share/jupyter/kernels`.
fn place(directory: &Path) -> Option<PathBuf> {
    let kernels = directory.parent()?;
    if !kernels.ends_with("share/jupyter/kernels") {
        return None;
    }
    // A user's own programs are in `.local/bin`, beside `.local/share`.
    let prefix = kernels.ancestors().nth(3)?;
    Some(prefix.join("bin").join(BINARY))
}

/// Links the command, unless something else has that name.
pub(super) fn link(directory: &Path) -> io::Result<Option<PathBuf>> {
    let Some(path) = place(directory).filter(|path| is_free(path)) else {
        return Ok(None);
    };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    replace(&path, |new| symlink(directory.join(BINARY), new))?;
    Ok(Some(path))
}

/// Takes the link of a kernel away; another kernel's stays.
pub(super) fn unlink(directory: &Path) {
    let Some(path) = place(directory) else { return };
    if fs::read_link(&path).is_ok_and(|target| target == directory.join(BINARY)) {
        // A link that cannot be removed leads nowhere, and the next installation replaces it.
        let _ = fs::remove_file(path);
    }
}

/// Whether there is nothing, or a link to a kernel of ours.
fn is_free(path: &Path) -> bool {
    match fs::read_link(path) {
        Ok(target) => {
            let folder = target.parent().and_then(Path::parent);
            target.file_name().is_some_and(|name| name == BINARY)
                && folder.is_some_and(|folder| folder.ends_with("share/jupyter/kernels"))
        }
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}
