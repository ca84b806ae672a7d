//! What the compiler says beside its answers, on its standard error: what it works on, and what went wrong with it.
//!
//! It writes to a file in memory, so that no thread has to read it, and so that its last words are still there when it
//! has ended.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Seek};
use std::os::unix::fs::FileExt;
use std::process::Stdio;

use nix::sys::memfd::{MFdFlags, memfd_create};

/// So many lines of what went wrong are kept.
const MOST: usize = 12;
/// What lines of work begin with.
const WORK: &[&str] = &["Compiling ", "Resolving "];

/// The words of one compiler.
pub struct CompilerOutput {
    file: File,
    read: u64,
    unfinished: Vec<u8>,
    work: Option<String>,
    others: VecDeque<String>,
}

impl CompilerOutput {
    pub fn new() -> io::Result<Self> {
        let file = memfd_create(c"diaphane-rust", MFdFlags::MFD_CLOEXEC)?;
        Ok(Self {
            file: File::from(file),
            read: 0,
            unfinished: Vec::new(),
            work: None,
            others: VecDeque::new(),
        })
    }

    /// Where the compiler writes.
    pub fn writer(&self) -> io::Result<Stdio> {
        Ok(Stdio::from(self.file.try_clone()?))
    }

    /// Forgets what was said; the compiler says nothing at the time.
    pub fn forget(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        // Both sides write at the same place, which is the compiler's.
        self.file.rewind()?;
        self.read = 0;
        self.unfinished.clear();
        self.work = None;
        self.others.clear();
        Ok(())
    }

    /// What it works on, as of its last word.
    pub fn work(&mut self) -> Option<&str> {
        self.listen();
        self.work.as_deref()
    }

    /// What it said besides, in one line.
    pub fn others(&mut self) -> String {
        self.listen();
        let lines: Vec<_> = self.others.iter().map(String::as_str).collect();
        lines.join(" ")
    }

    fn listen(&mut self) {
        let mut buffer = [0; 4096];
        // What cannot be read was not said.
        while let Ok(count @ 1..) = self.file.read_at(&mut buffer, self.read) {
            self.read += count as u64;
            self.unfinished.extend_from_slice(&buffer[..count]);
        }
        while let Some(end) = self.unfinished.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.unfinished.drain(..=end).collect();
            self.hear(String::from_utf8_lossy(&line).trim());
        }
    }

    fn hear(&mut self, line: &str) {
        if WORK.iter().any(|word| line.starts_with(word)) {
            self.work = Some(line.to_owned());
        } else if !line.is_empty() && !line.starts_with("note: ") {
            self.others.push_back(line.to_owned());
            if self.others.len() > MOST {
                self.others.pop_front();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn work_and_the_rest_are_told_apart() {
        let mut words = CompilerOutput::new().unwrap();
        let mut writer = words.file.try_clone().unwrap();
        writer.write_all(b"   Compiling a v1.0\n   Compi").unwrap();
        assert_eq!(words.work(), Some("Compiling a v1.0"));
        writer
            .write_all(b"ling b v2\nthread panicked at\nno\nnote: run")
            .unwrap();
        assert_eq!(words.work(), Some("Compiling b v2"));
        assert_eq!(words.others(), "thread panicked at no");
        words.forget().unwrap();
        assert_eq!(words.work(), None);
        writer.write_all(b"again\n").unwrap();
        assert_eq!(words.others(), "again");
    }
}
