//! The folder that the kernel works in: IPython asks for it, and does not start in one that was deleted.

use std::path::{Path, PathBuf};

use diaphane_sight::proc::open_files;

/// Goes to the nearest folder that is left, where the working folder was deleted.
pub fn leave_deleted() {
    let Err(error) = std::env::current_dir() else {
        return;
    };
    let deleted = open_files::working_folder();
    let above = deleted.iter().flat_map(|path| path.ancestors().skip(1));
    let there = |path: &&Path| std::env::set_current_dir(path).is_ok();
    let found = above.chain([Path::new("/")]).find(there);
    tracing::warn!(
        "the working folder {} is not there ({error}); the kernel works in {}",
        deleted
            .as_ref()
            .unwrap_or(&PathBuf::from("of this process"))
            .display(),
        found.unwrap_or(Path::new("none")).display()
    );
}
