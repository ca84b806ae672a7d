//! Captures what native code and child processes write to file descriptors 1 and 2.
//!
//! Both become pipes. The io thread reads them whenever something comes; the thread that runs a cell empties them at its
//! end (and now and then before it writes itself), so that native output stands under the right cell and in its order.
#![allow(unsafe_code, reason = "C's stdio is reached only through libc")]

mod content;

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use diaphane_magics::rust_cells_begun;
use diaphane_sight::crash::black_box;
use diaphane_wire::Outgoing;
use parking_lot::Mutex;
use rustix::fs::OFlags;
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};
use rustix::stdio::{dup2_stderr, dup2_stdout};
use serde_json::{Value, json};

use crate::outbox::{Item, Outbox, Parent, StandardStream};
use content::{Content, Part};

/// As much as a pipe of an unprivileged process may hold.
const PIPE_SIZE: usize = 1 << 20;
/// A cell's first writes look into the pipes every time, the later ones only after a pause: it costs a system call each.
const EAGER_WRITES: u64 = 1000;
/// That pause, in nanoseconds.
const PAUSE: u64 = 20_000;

/// The pipes behind file descriptors 1 and 2.
pub struct Capture {
    pipes: Mutex<[Pipe; 2]>,
    fds: [RawFd; 2],
    begun: Instant,
    looked: AtomicU64,
    writes: AtomicU64,
}

struct Pipe {
    stream: StandardStream,
    fd: OwnedFd,
    /// The beginning of a character whose end has not come yet.
    rest: Vec<u8>,
    /// The displays of Rust cells among the text.
    content: Content,
    /// How many Rust cells had begun when the last one's output was complete.
    heard: u64,
}

impl Capture {
    /// Redirects file descriptors 1 and 2 into pipes.
    ///
    /// # Errors
    /// When the process has no file descriptor left.
    pub fn start() -> std::io::Result<Self> {
        line_buffer_stdout();
        let out = Pipe::new(StandardStream::Stdout, dup2_stdout)?;
        let err = Pipe::new(StandardStream::Stderr, dup2_stderr)?;
        let fds = [out.fd.as_raw_fd(), err.fd.as_raw_fd()];
        Ok(Self {
            pipes: Mutex::new([out, err]),
            fds,
            begun: Instant::now(),
            looked: AtomicU64::new(0),
            writes: AtomicU64::new(0),
        })
    }

    /// The ends to poll for reading.
    pub fn fds(&self) -> [RawFd; 2] {
        self.fds
    }

    /// Moves what the pipes hold into the outbox.
    pub fn drain(&self, outbox: &Outbox, parent: Option<&Parent>) {
        let mut pipes = self.pipes.lock();
        let [out, err] = pipes.each_mut().map(|pipe| pipe.drain(outbox, parent));
        if out || err {
            // Where native code writes, it is going to write more: look closely again.
            self.writes.store(0, Ordering::Relaxed);
        }
    }

    /// What the pipes hold when the process dies, without a lock that somebody might have died with.
    pub fn read_last(&self) -> Vec<(StandardStream, String)> {
        let streams = [StandardStream::Stdout, StandardStream::Stderr];
        let read = |(stream, fd): (StandardStream, RawFd)| {
            let mut bytes = Vec::new();
            let mut buffer = [0_u8; 8192];
            // SAFETY: the pipes are open as long as the process is.
            let fd = unsafe { BorrowedFd::borrow_raw(fd) };
            while let Ok(read @ 1..) = rustix::io::read(fd, &mut buffer) {
                bytes.extend_from_slice(&buffer[..read]);
            }
            stream.note(&bytes);
            (!bytes.is_empty()).then(|| (stream, String::from_utf8_lossy(&bytes).into_owned()))
        };
        streams.into_iter().zip(self.fds).filter_map(read).collect()
    }

    /// Whether it is time to look into the pipes before Python writes, so that native output comes before.
    pub fn is_due(&self) -> bool {
        let writes = self.writes.fetch_add(1, Ordering::Relaxed);
        if writes < EAGER_WRITES {
            return true;
        }
        // Even the clock costs something.
        if !writes.is_multiple_of(16) {
            return false;
        }
        let now = u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let due = now.saturating_sub(self.looked.load(Ordering::Relaxed)) > PAUSE;
        if due {
            self.looked.store(now, Ordering::Relaxed);
        }
        due
    }

    /// A cell begins: its first writes are looked at closely.
    pub fn begin_cell(&self) {
        self.writes.store(0, Ordering::Relaxed);
    }

    /// A cell ends: C's buffers are flushed, and all that was written is in the outbox.
    pub fn end_cell(&self, outbox: &Outbox, parent: Option<&Parent>) {
        diaphane_sight::runtimes::stdio::flush();
        // Asked before the pipe is emptied: whose output is in it by then has ended.
        let (begun, running) = rust_cells_begun();
        self.drain(outbox, parent);
        if running == 0 {
            let [out, _] = &mut *self.pipes.lock();
            out.heard = begun;
            let rest = out.content.end();
            out.hand_on(rest, outbox, parent);
        }
    }
}

impl StandardStream {
    /// The last that native code says of an error tells why it gives up.
    fn note(self, bytes: &[u8]) {
        if self == Self::Stderr
            && let Some(own) = black_box::writable()
        {
            own.errors.push(bytes);
        }
    }
}

impl Pipe {
    fn new(
        stream: StandardStream,
        redirect: impl Fn(OwnedFd) -> rustix::io::Result<()>,
    ) -> std::io::Result<Self> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
        rustix::fs::fcntl_setfl(&read, OFlags::NONBLOCK)?;
        // A smaller pipe is slower, and no less right.
        if let Err(error) = fcntl_setpipe_size(&write, PIPE_SIZE) {
            tracing::debug!(%error, "the pipe stays small");
        }
        redirect(write)?;
        Ok(Self {
            stream,
            fd: read,
            rest: Vec::new(),
            content: Content::default(),
            heard: 0,
        })
    }

    /// Whether there was something.
    fn drain(&mut self, outbox: &Outbox, parent: Option<&Parent>) -> bool {
        let mut found = false;
        let mut buffer = [0_u8; 8192];
        while let Ok(read @ 1..) = rustix::io::read(&self.fd, &mut buffer) {
            found = true;
            self.stream.note(&buffer[..read]);
            self.rest.extend_from_slice(&buffer[..read]);
            let text = take_text(&mut self.rest);
            if self.stream == StandardStream::Stdout && rust_cells_begun().0 != self.heard {
                let parts = self.content.feed(&text);
                self.hand_on(parts, outbox, parent);
            } else {
                outbox.write(self.stream, parent, &text);
            }
            if outbox.is_full() {
                break;
            }
        }
        found
    }

    /// Puts text and displays into the outbox, in their order.
    fn hand_on(
        &self,
        parts: impl IntoIterator<Item = Part>,
        outbox: &Outbox,
        parent: Option<&Parent>,
    ) {
        for part in parts {
            match part {
                Part::Text(text) => {
                    outbox.write(self.stream, parent, &text);
                }
                Part::Display(mime, content) => outbox.push([Item::Publish {
                    parent: parent.cloned(),
                    message: display(&mime, content),
                }]),
            }
        }
    }
}

/// A display of one MIME type. JSON is given as the object that it is, unless it is none.
fn display(mime: &str, content: String) -> Outgoing {
    let is_json = mime == "application/json" || mime.ends_with("+json");
    let object = is_json.then(|| serde_json::from_str(&content).ok());
    let object = object.flatten().unwrap_or(Value::String(content));
    let shown = json!({"data": {mime: object}, "metadata": {}, "transient": {}});
    Outgoing::new("display_data", &shown)
}

/// Takes the text off, but for the beginning of a character that may still be completed.
pub(crate) fn take_text(bytes: &mut Vec<u8>) -> String {
    let incomplete = match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => bytes.split_off(error.valid_up_to()),
        _ => Vec::new(),
    };
    let text = String::from_utf8_lossy(bytes).into_owned();
    *bytes = incomplete;
    text
}

unsafe extern "C" {
    static stdout: *mut libc::FILE;
}

/// A line that `printf` has ended goes out at once, in its order among Python's lines, although the pipe is no terminal.
fn line_buffer_stdout() {
    // SAFETY: libc's `stdout` is set before `main`, and no other thread writes to it yet.
    unsafe { libc::setvbuf(stdout, std::ptr::null_mut(), libc::_IOLBF, 0) };
}

#[cfg(test)]
mod tests {
    use super::take_text;

    #[test]
    fn a_divided_character_waits_for_its_end() {
        let mut bytes = b"a\xc3".to_vec();
        assert_eq!(take_text(&mut bytes), "a");
        bytes.push(0xa9);
        assert_eq!(take_text(&mut bytes), "é");
        assert!(bytes.is_empty());
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        let mut bytes = b"a\xffb".to_vec();
        assert_eq!(take_text(&mut bytes), "a\u{fffd}b");
    }
}
