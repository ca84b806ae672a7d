//! What the kernel says about single threads of this process, read without allocating: it is asked while other threads
//! are stopped, and one of them may hold the allocator's lock.

use std::ffi::CStr;
use std::io::{Cursor, Write};
use std::mem::MaybeUninit;

use rustix::fs::{Access, Mode, OFlags, RawDir, access, open};
use rustix::io::read;
use serde::Serialize;

/// What `status` says about a thread's state and mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskState {
    /// Whether it has ended, and is only still listed.
    pub ended: bool,
    /// Whether it waits in a system call that a signal can end.
    pub sleeps: bool,
    /// The signals that it blocks, the first in the lowest bit.
    pub blocked: u64,
}

/// Where a sleeping thread's registers point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Position {
    /// The stack pointer.
    pub stack: usize,
    /// The next instruction.
    pub code: usize,
}

/// Calls something with the number of each thread; `None` if they could not all be listed.
pub fn each(mut found: impl FnMut(i32)) -> Option<()> {
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

/// The numbers of all threads, in no order; as many as can be listed.
#[must_use]
pub fn numbers() -> Vec<i32> {
    let mut numbers = Vec::new();
    let _ = each(|tid| numbers.push(tid));
    numbers
}

/// Whether a thread is there.
#[must_use]
pub fn exists(tid: i32) -> bool {
    with_path(tid, "comm", |path| access(path, Access::EXISTS).ok()).is_some()
}

/// What the kernel calls a thread; `None` if it is gone.
#[must_use]
pub fn name(tid: i32) -> Option<String> {
    let mut buffer = [0; 64];
    let length = content(tid, "comm", &mut buffer)?;
    Some(
        String::from_utf8_lossy(&buffer[..length])
            .trim_end()
            .to_owned(),
    )
}

/// The signals that a thread blocks, by the text of its `status`, whose first line is its name with line feeds escaped.
pub(crate) fn blocked_signals(status: &str) -> Option<u64> {
    u64::from_str_radix(value(status, "SigBlk:")?, 16).ok()
}

fn value<'a>(status: &'a str, key: &str) -> Option<&'a str> {
    let mut values = status.lines().filter_map(|line| line.strip_prefix(key));
    values.next().map(str::trim)
}

/// Asks for a thread's state and mask; `None` if it is gone.
pub fn status(tid: i32) -> Option<TaskState> {
    let mut buffer = [0; 2048];
    TaskState::parse(text(tid, "status", &mut buffer)?)
}

/// Asks where a thread sleeps; `None` while it runs.
pub fn position(tid: i32) -> Option<Position> {
    let mut buffer = [0; 256];
    Position::parse(text(tid, "syscall", &mut buffer)?)
}

impl TaskState {
    /// Whether a signal does not reach it now.
    pub fn blocks(&self, signal: i32) -> bool {
        self.blocked >> (signal - 1) & 1 == 1
    }

    fn parse(text: &str) -> Option<Self> {
        let state = value(text, "State:")?;
        Some(Self {
            ended: state.starts_with(['Z', 'X']),
            sleeps: state.starts_with('S'),
            blocked: blocked_signals(text)?,
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
pub(crate) fn text<'a>(tid: i32, name: &str, buffer: &'a mut [u8]) -> Option<&'a str> {
    let length = content(tid, name, buffer)?;
    // A name may end in the middle of a character, and is not needed.
    let text = buffer[..length]
        .utf8_chunks()
        .max_by_key(|part| part.valid().len());
    text.map(|part| part.valid())
}

fn content(tid: i32, name: &str, buffer: &mut [u8]) -> Option<usize> {
    with_path(tid, name, |path| {
        let file = open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
        read(&file, buffer).ok()
    })
}

fn with_path<T>(tid: i32, name: &str, run: impl FnOnce(&CStr) -> Option<T>) -> Option<T> {
    let mut path = [0; 64];
    write!(Cursor::new(&mut path[..63]), "/proc/self/task/{tid}/{name}").ok()?;
    run(CStr::from_bytes_until_nul(&path).ok()?)
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
        assert!(exists(own) && !exists(i32::MAX) && name(i32::MAX).is_none());
        assert_eq!(
            name(own).as_deref(),
            std::thread::current()
                .name()
                .map(|name| &name[..name.len().min(15)])
        );
        assert_eq!((status(i32::MAX), position(i32::MAX)), (None, None));
    }

    #[test]
    fn what_the_kernel_writes_is_understood() {
        let status = TaskState::parse("Name:\tx\nState:\tZ (zombie)\nSigBlk:\tfffffffe7ffbfeff\n");
        assert_eq!(
            status.map(|status| (status.ended, status.blocked >> 32)),
            Some((true, 0xffff_fffe))
        );
        let state = |word| TaskState::parse(&format!("Name:\tx\nState:\t{word}\nSigBlk:\t0\n"));
        let words = ["S (sleeping)", "R (running)", "D (disk sleep)"];
        let sleeps = words.map(|word| state(word).map(|status| status.sleeps));
        assert_eq!(sleeps, [Some(true), Some(false), Some(false)]);
        let position = Position::parse("202 0x7f 0x80 0x0 0x0 0x0 0x0 0x7ffc10 0x7f00\n").unwrap();
        assert_eq!((position.stack, position.code), (0x7f_fc10, 0x7f00));
        assert_eq!(Position::parse("running\n"), None);
    }
}
