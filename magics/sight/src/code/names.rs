//! The names of a file's symbols, as its string table has them.
//!
//! A large table, as C++ libraries have, stays in the file: its names are read when they are asked for, and take no
//! memory. A file that was changed or replaced since then is not believed, and its names are unknown.

use std::borrow::Cow;
use std::fs::{File, Metadata};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::files;

/// Tables of so many bytes stay in the file.
const LARGE: u64 = 1 << 19;
/// Most names are shorter, and are read at once.
const USUAL: usize = 256;

/// A file as it was when it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct FileIdentity {
    device: u64,
    inode: u64,
    changed: (i64, i64),
    size: u64,
}

/// A string table.
#[derive(Debug)]
pub(super) enum Names {
    Kept(Box<[u8]>),
    InFile {
        path: PathBuf,
        identity: FileIdentity,
        offset: u64,
        size: u64,
    },
}

impl FileIdentity {
    pub fn of(about: &Metadata) -> Self {
        Self {
            device: about.dev(),
            inode: about.ino(),
            changed: (about.mtime(), about.mtime_nsec()),
            size: about.size(),
        }
    }
}

impl Default for Names {
    fn default() -> Self {
        Self::Kept(Box::default())
    }
}

impl Names {
    /// The table at an offset of a file, whose bytes were read already.
    pub fn new(path: &Path, identity: FileIdentity, offset: u64, bytes: &[u8]) -> Self {
        let size = bytes.len() as u64;
        if size < LARGE {
            return Self::Kept(bytes.into());
        }
        Self::InFile {
            path: path.into(),
            identity,
            offset,
            size,
        }
    }

    /// The name at a place of the table.
    pub fn at(&self, place: u32) -> Option<String> {
        match self {
            Self::Kept(bytes) => name_at(bytes, place).map(str::to_owned),
            Self::InFile { offset, size, .. } => {
                let file = self.file()?;
                let rest = size.checked_sub(u64::from(place))?;
                let (at, mut length) = (offset + u64::from(place), USUAL as u64);
                loop {
                    let mut bytes = vec![0; length.min(rest) as usize];
                    file.read_exact_at(&mut bytes, at).ok()?;
                    if let Some(name) = name_at(&bytes, 0) {
                        return Some(name.to_owned());
                    }
                    length = (length < rest).then_some(length * 4)?;
                }
            }
        }
    }

    /// All of it; empty where the file is another one by now.
    pub fn all(&self) -> Cow<'_, [u8]> {
        match self {
            Self::Kept(bytes) => Cow::Borrowed(bytes),
            Self::InFile { offset, size, .. } => {
                let read = || {
                    let mut bytes = vec![0; usize::try_from(*size).ok()?];
                    self.file()?.read_exact_at(&mut bytes, *offset).ok()?;
                    Some(bytes)
                };
                Cow::Owned(read().unwrap_or_default())
            }
        }
    }

    fn file(&self) -> Option<File> {
        let Self::InFile { path, identity, .. } = self else {
            return None;
        };
        let file = files::open(path).ok()?;
        let is_same = FileIdentity::of(&file.metadata().ok()?) == *identity;
        is_same.then_some(file)
    }
}

/// The name at a place of a table, without the zero at its end.
pub(super) fn name_at(bytes: &[u8], place: u32) -> Option<&str> {
    let rest = bytes.get(place as usize..)?;
    let end = rest.iter().position(|&byte| byte == 0)?;
    str::from_utf8(&rest[..end])
        .ok()
        .filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn names_of_a_large_table_are_read_when_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table");
        let long = "x".repeat(5000);
        let mut bytes = format!("\0first\0{long}\0last\0").into_bytes();
        bytes.resize(LARGE as usize, b'z');
        let whole = [b"before".as_slice(), &bytes].concat();
        fs::write(&path, whole).unwrap();
        let identity = FileIdentity::of(&fs::metadata(&path).unwrap());
        let names = Names::new(&path, identity, 6, &bytes);
        assert!(matches!(names, Names::InFile { .. }));
        assert_eq!(names.at(1).as_deref(), Some("first"));
        assert_eq!(names.at(7), Some(long));
        assert_eq!(names.at(5008).as_deref(), Some("last"));
        // Without an end, empty, and outside.
        for place in [5013, 0, u32::MAX] {
            assert_eq!(names.at(place), None, "{place}");
        }
        assert_eq!(names.all(), bytes);
        fs::write(&path, "another").unwrap();
        assert_eq!(names.at(1), None);
        assert!(names.all().is_empty());
    }
}
