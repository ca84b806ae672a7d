//! Who is looked at: this process, or another one of the same user. Its memory, and the folder of its files.
//!
//! Memory is read through the kernel (`process_vm_readv`), also that of this process: an unmapped address is an error.
//! Nothing here knows what lies at an address; that is for `maps` and `libs`.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// So much is read at once: a length that memory of the process tells may be any number, and only what is there is to
/// take memory here.
const PIECE: usize = 1 << 20;

/// A process that is looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TargetProcess {
    pid: Option<i32>,
}

impl TargetProcess {
    /// The process that asks; after a fork the child.
    pub const OWN: Self = Self { pid: None };

    /// Another process.
    #[must_use]
    pub fn process(pid: i32) -> Self {
        Self { pid: Some(pid) }
    }

    /// The file of its program, which can be opened also where its path leads elsewhere by now.
    #[must_use]
    pub fn program(self) -> PathBuf {
        self.folder().join("exe")
    }

    /// Where the kernel keeps its files.
    pub(crate) fn folder(self) -> PathBuf {
        match self.pid {
            Some(pid) => PathBuf::from(format!("/proc/{pid}")),
            None => PathBuf::from("/proc/self"),
        }
    }

    /// Copies memory into `into`; returns how many bytes were readable from `address` on.
    ///
    /// # Errors
    /// Where nothing is mapped, or the process may not be looked at.
    pub fn read(self, address: usize, into: &mut [u8]) -> io::Result<usize> {
        self.copy(address, into)
            .or_else(|error| match error.raw_os_error() {
                // Some sandboxes deny the system call and not the file, which is slower.
                Some(libc::EPERM | libc::ENOSYS) => self.read_file(address, into),
                _ => Err(error),
            })
    }

    #[allow(
        unsafe_code,
        reason = "the one place that reads raw memory, through the kernel"
    )]
    fn copy(self, address: usize, into: &mut [u8]) -> io::Result<usize> {
        let local = libc::iovec {
            iov_base: into.as_mut_ptr().cast(),
            iov_len: into.len(),
        };
        let remote = libc::iovec {
            iov_base: address as *mut libc::c_void,
            iov_len: into.len(),
        };
        let pid = self.pid.unwrap_or(std::process::id().cast_signed());
        // SAFETY: `local` covers exactly the exclusive borrow `into`; the kernel checks `remote` and writes nothing
        // there.
        let read =
            unsafe { libc::process_vm_readv(pid, &raw const local, 1, &raw const remote, 1, 0) };
        usize::try_from(read).map_err(|_| io::Error::last_os_error())
    }

    /// Opened for each read, since a child process of a fork would read its parent's.
    fn read_file(self, address: usize, into: &mut [u8]) -> io::Result<usize> {
        File::open(self.folder().join("mem"))?.read_at(into, address as u64)
    }

    /// Reads up to `len` bytes; shorter where the mapping ends, empty where nothing is mapped.
    #[must_use]
    pub fn bytes(self, address: usize, len: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < len {
            let from = bytes.len();
            let piece = PIECE.min(len - from);
            bytes.resize(from + piece, 0);
            let read = address
                .checked_add(from)
                .and_then(|address| self.read(address, &mut bytes[from..]).ok())
                .unwrap_or(0);
            bytes.truncate(from + read);
            if read < piece {
                break;
            }
        }
        bytes
    }

    /// Reads a pointer.
    #[must_use]
    pub fn word(self, address: usize) -> Option<usize> {
        let mut word = [0; size_of::<usize>()];
        let whole = self
            .read(address, &mut word)
            .is_ok_and(|read| read == word.len());
        whole.then_some(usize::from_ne_bytes(word))
    }

    /// Reads a C `int`.
    #[must_use]
    pub fn int(self, address: usize) -> Option<i32> {
        let mut int = [0; size_of::<i32>()];
        let whole = self
            .read(address, &mut int)
            .is_ok_and(|read| read == int.len());
        whole.then_some(i32::from_ne_bytes(int))
    }

    /// Reads a NUL-terminated string of at most 4 KiB; `None` if the address or the text is not readable as one.
    #[must_use]
    pub fn c_string(self, address: usize) -> Option<String> {
        const CHUNK: usize = 256;
        let mut text = Vec::new();
        while text.len() < 4096 {
            let chunk = self.bytes(address.checked_add(text.len())?, CHUNK);
            if let Some(end) = chunk.iter().position(|&byte| byte == 0) {
                text.extend_from_slice(&chunk[..end]);
                return String::from_utf8(text).ok();
            }
            if chunk.is_empty() {
                return None;
            }
            text.extend(chunk);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_that_nobody_has_ends_where_the_mapping_does() {
        let memory = *b"some bytes";
        let read = TargetProcess::OWN.bytes(memory.as_ptr().addr(), usize::MAX);
        assert!(read.starts_with(&memory));
        let long = vec![7; 2 * PIECE + 5];
        assert_eq!(
            TargetProcess::OWN.bytes(long.as_ptr().addr(), long.len()),
            long
        );
        assert!(TargetProcess::OWN.bytes(0, usize::MAX).is_empty());
    }

    #[test]
    fn both_ways_of_reading_agree() {
        let memory = *b"some bytes";
        let address = memory.as_ptr().addr();
        let by_number = TargetProcess::process(std::process::id().cast_signed());
        for target in [TargetProcess::OWN, by_number] {
            let (mut one, mut other) = ([0; 10], [0; 10]);
            assert_eq!(target.copy(address, &mut one).unwrap(), 10);
            assert_eq!(target.read_file(address, &mut other).unwrap(), 10);
            assert_eq!((one, other), (memory, memory));
            assert!(target.copy(8, &mut one).is_err() && target.read_file(8, &mut one).is_err());
        }
    }

    #[test]
    fn a_process_that_is_gone_has_no_memory() {
        let gone = TargetProcess::process(i32::MAX);
        assert!(
            gone.bytes(
                gone.folder().as_os_str().as_encoded_bytes().as_ptr().addr(),
                1
            )
            .is_empty()
        );
    }
}
