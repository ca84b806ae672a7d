//! The folder of black boxes: what a kernel takes away when it was asked to end.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::black_box;

/// What a process left that was killed may still be told of by the next one of its kind; after this time nobody comes.
const FORGOTTEN: Duration = Duration::from_hours(24 * 7);

/// Removes the black box of this process, and those that nobody came for.
pub fn leave_nothing(own: &Path) {
    // Others may remove the same files at the same time.
    let _gone = fs::remove_file(own);
    let entries = own.parent().map(fs::read_dir);
    for entry in entries.into_iter().flatten().flatten().flatten() {
        let path = entry.path();
        let is_one = path.extension() == own.extension() && has_the_same_beginning(&path, own);
        let age = entry.metadata().and_then(|about| about.modified());
        let age = age.ok().and_then(|modified| modified.elapsed().ok());
        if is_one
            && age.is_some_and(|age| age > FORGOTTEN)
            && black_box::open(&path).is_ok_and(|old| !old.is_alive())
        {
            let _gone = fs::remove_file(path);
        }
    }
}

/// Whether two names are the same up to the first hyphen.
fn has_the_same_beginning(one: &Path, other: &Path) -> bool {
    let beginning = |path: &Path| {
        let name = path.file_name()?.to_str()?;
        Some(name.split_once('-')?.0.to_owned())
    };
    beginning(one).is_some() && beginning(one) == beginning(other)
}
