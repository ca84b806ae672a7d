//! What a value writes to standard output while it displays itself, as types do that were made for evcxr:
//!
//! ```text
//! EVCXR_BEGIN_CONTENT text/html
//! <b>2</b>
//! EVCXR_END_CONTENT
//! ```
//!
//! Descriptor 1 is a file in memory meanwhile. What other threads wrote there is handed on afterwards.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use diaphane_forks::{ProcessLock, ProcessLockGuard};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::dup2_stdout;

const BEGIN: &str = "EVCXR_BEGIN_CONTENT ";
const END: &str = "EVCXR_END_CONTENT";

/// One display: texts by MIME type.
pub type DisplayBundle = Vec<(String, String)>;

/// There is one descriptor 1, so one thread at a time may have it.
static TURN: ProcessLock<()> = ProcessLock::new(|| ());
/// So long another one waits for it; then its value is shown as the text that it writes.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Descriptor 1, while it is ours. It gets back what it was when this ends, also after a fault of the cell.
pub struct Redirect {
    saved: OwnedFd,
    file: File,
    _turn: ProcessLockGuard<'static, ()>,
}

impl Redirect {
    pub fn begin() -> Option<Self> {
        let turn = TURN.try_lock_for(TIMEOUT)?;
        let saved = io::stdout().as_fd().try_clone_to_owned().ok()?;
        let file = memfd_create(c"diaphane-display", MFdFlags::MFD_CLOEXEC).ok()?;
        dup2_stdout(&file).ok()?;
        Some(Self {
            saved,
            file: File::from(file),
            _turn: turn,
        })
    }

    /// What was displayed.
    pub fn end(mut self) -> DisplayBundle {
        self.restore();
        let mut written = Vec::new();
        let read = self.file.rewind();
        // What cannot be read is not displayed; a file in memory always can.
        let _ = read.and_then(|()| self.file.read_to_end(&mut written));
        let (bundle, rest) = parse(&String::from_utf8_lossy(&written));
        if let Ok(saved) = self.saved.try_clone() {
            let _ = File::from(saved).write_all(rest.as_bytes());
        }
        bundle
    }

    fn restore(&self) {
        // It was valid when it was saved, and nobody else has it.
        let _ = dup2_stdout(&self.saved);
    }
}

impl Drop for Redirect {
    fn drop(&mut self) {
        self.restore();
    }
}

/// The parts that are marked, and the text between them.
fn parse(text: &str) -> (DisplayBundle, String) {
    let mut bundle = DisplayBundle::new();
    let mut rest = String::new();
    let mut open: Option<(String, String)> = None;
    for line in text.split_inclusive('\n') {
        let bare = line.trim_end_matches(['\n', '\r']);
        match &mut open {
            Some(_) if bare == END => bundle.extend(open.take()),
            Some((_, part)) => *part += line,
            None => match bare.strip_prefix(BEGIN) {
                Some(mime) => open = Some((mime.trim().to_owned(), String::new())),
                None => rest += line,
            },
        }
    }
    // One that has no end is all that there is.
    bundle.extend(open);
    for (_, part) in &mut bundle {
        let len = part.trim_end_matches('\n').len();
        part.truncate(len);
    }
    (bundle, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_told_from_other_words() {
        let text = "a\nEVCXR_BEGIN_CONTENT text/html\n<b>\n2</b>\nEVCXR_END_CONTENT\nb\n\
                    EVCXR_BEGIN_CONTENT text/plain\n2";
        let (bundle, rest) = parse(text);
        assert_eq!(rest, "a\nb\n");
        let part = |mime: &str, text: &str| (mime.to_owned(), text.to_owned());
        assert_eq!(
            bundle,
            [part("text/html", "<b>\n2</b>"), part("text/plain", "2")]
        );
    }
}
