//! The open descriptors of this process, and its program's file.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The file that this process runs, whatever lies at its path by now.
#[must_use]
pub fn own_program() -> &'static Path {
    Path::new("/proc/self/exe")
}

/// Where the working folder is, or was before it was deleted.
#[must_use]
pub fn working_folder() -> Option<PathBuf> {
    let path = fs::read_link("/proc/self/cwd").ok()?;
    let name = path.as_os_str().as_bytes();
    Some(
        Path::new(OsStr::from_bytes(
            name.strip_suffix(b" (deleted)").unwrap_or(name),
        ))
        .to_owned(),
    )
}

/// The numbers of the descriptors that are open, with what each leads to; none where the system does not list them. The
/// descriptor that reads the list is among them, and closed by then.
#[must_use]
pub fn descriptors() -> Vec<(i32, PathBuf)> {
    let entries = fs::read_dir("/proc/self/fd")
        .into_iter()
        .flatten()
        .flatten();
    entries
        .filter_map(|entry| {
            let number = entry.file_name().to_str()?.parse().ok()?;
            Some((number, fs::read_link(entry.path()).unwrap_or_default()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn an_open_file_is_listed_with_its_path() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let number = file.as_file().as_raw_fd();
        let found = descriptors().into_iter().find(|one| one.0 == number);
        assert_eq!(found.unwrap().1, file.path().canonicalize().unwrap());
        assert_eq!(
            fs::read_link(own_program()).unwrap(),
            std::env::current_exe().unwrap()
        );
    }
}
