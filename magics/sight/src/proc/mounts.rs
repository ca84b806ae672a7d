//! Which file system a path lies on, as the kernel lists them for this process.

use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// A place where a file system is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Its folder.
    pub point: PathBuf,
    /// What the kernel calls the file system: `ext4`, `nfs4`, `fuse.sshfs`.
    pub kind: String,
}

/// File systems whose files come over a network.
const REMOTE: &[&str] = &[
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "9p",
    "afs",
    "ceph",
    "lustre",
    "gpfs",
    "beegfs",
    "ncpfs",
    "ocfs2",
    "gfs2",
    "glusterfs",
];

impl Mount {
    /// Whether an access may wait for a network, or for a program of the user's (FUSE).
    pub fn is_far(&self) -> bool {
        let is_fuse =
            self.kind == "fuse" || self.kind == "virtiofs" || self.kind.starts_with("fuse.");
        is_fuse || REMOTE.contains(&self.kind.as_str())
    }
}

/// What is mounted; empty where the kernel does not say.
pub fn mounts() -> Vec<Mount> {
    parse(&fs::read("/proc/self/mountinfo").unwrap_or_default())
}

/// The one that a path lies on. Where one is mounted over another, the later one counts.
pub fn of<'a>(path: &Path, mounts: &'a [Mount]) -> Option<&'a Mount> {
    let under = mounts.iter().filter(|mount| path.starts_with(&mount.point));
    under.max_by_key(|mount| mount.point.components().count())
}

/// `36 35 98:0 /root /point options shared:1 - ext4 /dev/sda rw`, where a backslash begins three octal digits.
fn parse(text: &[u8]) -> Vec<Mount> {
    let line = |line: &[u8]| {
        let mut words = line.split(|&byte| byte == b' ');
        let point = words.by_ref().nth(4)?;
        let mut behind = words.skip_while(|word| *word != b"-").skip(1);
        Some(Mount {
            point: std::ffi::OsString::from_vec(unescaped(point)).into(),
            kind: String::from_utf8_lossy(behind.next()?).into_owned(),
        })
    };
    text.split(|&byte| byte == b'\n').filter_map(line).collect()
}

fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, behind)) = rest.split_first() {
        let digits = behind.get(..3).filter(|_| first == b'\\');
        let octal = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|octal| u8::from_str_radix(octal, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &behind[3..];
            }
            None => {
                bytes.push(first);
                rest = behind;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"1 0 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n\
        2 1 0:5 / /mnt/my\\040data rw - fuse.sshfs me@host:/ rw\n\
        3 1 0:6 / /mnt rw master:3 propagate_from:2 - nfs4 host:/ rw\n";

    #[test]
    fn the_innermost_mount_counts() {
        let mounts = parse(TEXT);
        let kind = |path: &str| {
            of(Path::new(path), &mounts).map(|mount| (mount.kind.as_str(), mount.is_far()))
        };
        assert_eq!(kind("/usr/lib/libc.so"), Some(("ext4", false)));
        assert_eq!(kind("/mnt/a"), Some(("nfs4", true)));
        assert_eq!(kind("/mnt/my data/a.so"), Some(("fuse.sshfs", true)));
        assert_eq!(kind("/mnt2"), Some(("ext4", false)));
    }

    #[test]
    fn proc_is_where_it_is() {
        let mounts = mounts();
        assert_eq!(
            of(Path::new("/proc/self/maps"), &mounts).unwrap().kind,
            "proc"
        );
    }
}
