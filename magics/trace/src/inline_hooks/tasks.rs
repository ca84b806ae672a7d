//! What the kernel says about the threads of this process, read without allocating: it is asked while other threads are
//! stopped, and one of them may hold the allocator's lock.

use std::ffi::CStr;
use std::io::{Cursor, Write};
use std::mem::MaybeUninit;

use rustix::fs::{Mode, OFlags, RawDir, open};
use rustix::io::read;

/// What `status` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Status {
    /// Whether it has ended, and is only still listed.
    pub(super) ended: bool,
    /// The signals that it blocks, the first in the lowest bit.
    pub(super) blocked: u64,
}

/// Where a thread sleeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) stack: usize,
    pub(super) code: usize,
}

/// Calls something with the number of each thread; `None` if they could not all be listed.
pub(super) fn each(mut found: impl FnMut(i32)) -> Option<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = open(c"/proc/self/task", flags, Mode::empty()).ok()?;
    let mut buffer = [MaybeUninit::<u8>::uninit(); 4096];
    let mut entries = RawDir::new(folder, &mut buffer);
    while let Some(entry) = entries.next() {
        let name = entry.ok()?.file_name().to_str().ok()?.parse();
        if let Ok(tid) = name {
            found(tid);
        }
    }
    Some(())
}

/// Asks for a thread's state and mask; `None` if it is gone.
pub(super) fn status(tid: i32) -> Option<Status> {
    let mut buffer = [0; 2048];
    Status::parse(text(tid, "status", &mut buffer)?)
}

/// Asks where a thread sleeps; `None` while it runs.
pub(super) fn position(tid: i32) -> Option<Position> {
    let mut buffer = [0; 256];
    Position::parse(text(tid, "syscall", &mut buffer)?)
}

impl Status {
    /// Whether a signal does not reach it now.
    pub(super) fn blocks(&self, signal: i32) -> bool {
        self.blocked >> (signal - 1) & 1 == 1
    }

    fn parse(text: &str) -> Option<Self> {
        // The thread's name stands before both, with its line feeds escaped.
        let value = |key: &str| {
            let mut values = text.lines().filter_map(|line| line.strip_prefix(key));
            values.next().map(str::trim)
        };
        Some(Self {
            ended: value("State:")?.starts_with(['Z', 'X']),
            blocked: u64::from_str_radix(value("SigBlk:")?, 16).ok()?,
        })
    }
}

impl Position {
    fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split_ascii_whitespace().rev();
        let mut number = || usize::from_str_radix(fields.next()?.strip_prefix("0x")?, 16).ok();
        let (code, stack) = (number()?, number()?);
        Some(Self { stack, code })
    }
}

/// Reads one of the kernel's files about a thread, as far as the buffer reaches.
fn text<'a>(tid: i32, name: &str, buffer: &'a mut [u8]) -> Option<&'a str> {
    let mut path = [0; 64];
    write!(Cursor::new(&mut path[..63]), "/proc/self/task/{tid}/{name}").ok()?;
    let path = CStr::from_bytes_until_nul(&path).ok()?;
    let file = open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let length = read(&file, &mut *buffer).ok()?;
    // A name may end in the middle of a character, and is not needed.
    let text = buffer[..length]
        .utf8_chunks()
        .max_by_key(|part| part.valid().len());
    text.map(|part| part.valid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_thread_is_listed_and_runs() {
        let own = rustix::thread::gettid().as_raw_nonzero().get();
        let mut found = Vec::new();
        each(|tid| found.push(tid)).unwrap();
        assert!(found.contains(&own), "{found:?}");
        assert!(!status(own).unwrap().ended);
        assert_eq!((status(i32::MAX), position(i32::MAX)), (None, None));
    }

    #[test]
    fn what_the_kernel_writes_is_understood() {
        let status = Status::parse("Name:\tx\nState:\tZ (zombie)\nSigBlk:\tfffffffe7ffbfeff\n");
        assert_eq!(
            status.map(|status| (status.ended, status.blocked >> 32)),
            Some((true, 0xffff_fffe))
        );
        let position = Position::parse("202 0x7f 0x80 0x0 0x0 0x0 0x0 0x7ffc10 0x7f00\n").unwrap();
        assert_eq!((position.stack, position.code), (0x7f_fc10, 0x7f00));
        assert_eq!(Position::parse("running\n"), None);
    }
}
