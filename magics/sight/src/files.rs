//! Files that somebody else has named. Such a path may lead to a pipe that nobody writes to, or to a device without an
//! end, on which a plain `open` or `read` never returns; only regular files are opened.

use std::fs::{File, Metadata, OpenOptions, metadata};
use std::io::{Error, ErrorKind, Read, Result};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

/// Opens a regular file to read it.
pub fn open(path: impl AsRef<Path>) -> Result<File> {
    opened(path.as_ref(), OpenOptions::new().read(true))
}

/// Reads the beginning of a regular file, no more than so many bytes.
pub fn head(path: impl AsRef<Path>, most: u64) -> Result<Vec<u8>> {
    let mut read = Vec::new();
    open(path)?.take(most).read_to_end(&mut read)?;
    Ok(read)
}

/// Makes a regular file, or empties it.
pub fn create(path: impl AsRef<Path>) -> Result<File> {
    let path = path.as_ref();
    let mut options = OpenOptions::new();
    opened(path, options.write(true).create(true).truncate(true))
}

fn opened(path: &Path, options: &mut OpenOptions) -> Result<File> {
    // Some devices do something when they are opened.
    match metadata(path) {
        Ok(about) => check(&about)?,
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    // It may be another one by now, and must not be waited for.
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = options.custom_flags(flags).open(path)?;
    check(&file.metadata()?)?;
    Ok(file)
}

fn check(about: &Metadata) -> Result<()> {
    let kind = about.file_type();
    let what = match () {
        () if kind.is_file() => return Ok(()),
        () if kind.is_dir() => "a folder",
        () if kind.is_fifo() => "a pipe",
        () if kind.is_socket() => "a socket",
        () => "a device",
    };
    let words = format!("it is {what}, and no regular file");
    Err(Error::new(ErrorKind::InvalidInput, words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_are_opened_and_nobody_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, mode).unwrap();
        for (path, what) in [
            (pipe.as_path(), "a pipe"),
            (folder.path(), "a folder"),
            (Path::new("/dev/full"), "a device"),
        ] {
            for refused in [head(path, 10).err(), create(path).err()] {
                assert!(refused.unwrap().to_string().contains(what));
            }
        }
        let file = folder.path().join("file");
        std::fs::write(&file, "0123456789").unwrap();
        assert_eq!(head(&file, 4).unwrap(), b"0123");
        create(&file).unwrap();
        assert_eq!(head(&file, 4).unwrap(), b"");
    }
}
