//! Hears of the children that record, on a thread of its own and without Python: who has begun, and what each reports.
//!
//! A child connects, and says in a line of JSON who it is. When the cell has ended it is told so, sends the text of its
//! report, and hangs up; one that ends before does so by itself. Who hangs up without a report was killed.

use std::collections::{HashMap, HashSet};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use diaphane_sight::proc::processes::{ProcessIdentity, descendants, runs_python};
use diaphane_sight::unwind::Manner;
use diaphane_trace::helper_thread::Shift;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Deserialize;

use crate::stacks::merged::{FrameKind, StackFrame};
use crate::stacks::other_process::look;
use crate::stacks::snapshot::Gil;

/// How long a child that still runs is waited for when the cell has ended; all of them together.
const DEADLINE: Duration = Duration::from_secs(5);
/// How often it is looked who is there.
const PAUSE: Duration = Duration::from_millis(100);
/// No more bytes are kept of all reports together.
const MOST: usize = 256 << 20;

/// A child, and its report as text or why there is none.
pub(super) struct RecordedChild {
    pub pid: i32,
    pub how: String,
    pub report: Result<String, String>,
}

/// What a child says of itself.
#[derive(Deserialize)]
struct Hello {
    pid: i32,
    how: String,
    /// Why it does not record; nothing is said of one that does nothing of the user's.
    silent: Option<String>,
    #[serde(default)]
    helps: bool,
}

/// A child that has called.
struct Link {
    stream: UnixStream,
    bytes: Vec<u8>,
    is_open: bool,
}

/// Who is below this process, and how often it was seen to run Python.
#[derive(Default)]
struct Seen {
    before: HashSet<ProcessIdentity>,
    looks: HashMap<ProcessIdentity, u32>,
    looked: Option<Instant>,
}

/// The socket, and who has called.
pub(super) struct Listener {
    socket: UnixListener,
    links: Vec<Link>,
    seen: Seen,
    /// Whether the cell has ended.
    is_over: Arc<AtomicBool>,
}

impl Listener {
    pub fn new(socket: UnixListener, is_over: Arc<AtomicBool>) -> std::io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket,
            links: Vec::new(),
            seen: Seen {
                before: descendants().into_iter().collect(),
                ..Seen::default()
            },
            is_over,
        })
    }

    /// Listens until the cell has ended, and then for as long as it takes, but not longer than the deadline.
    pub fn serve(mut self, shift: &Shift) -> Vec<RecordedChild> {
        while shift.goes_on(Duration::ZERO) && !self.is_over.load(Ordering::Relaxed) {
            self.hear(PAUSE);
            self.seen.look();
        }
        let ended = Instant::now();
        let mut told = 0;
        while let Some(rest) = DEADLINE.checked_sub(ended.elapsed()) {
            self.accept();
            for link in &mut self.links[told..] {
                // One that has gone meanwhile needs no word.
                let _ = link.stream.write_all(b"end\n");
            }
            told = self.links.len();
            if !self.links.iter().any(|link| link.is_open) {
                break;
            }
            self.hear(rest.min(PAUSE));
        }
        self.children()
    }

    /// Waits until somebody says something, and takes what is there.
    fn hear(&mut self, patience: Duration) {
        let open = self.links.iter().filter(|link| link.is_open);
        let sockets = open.map(|link| link.stream.as_fd());
        let all: Vec<BorrowedFd<'_>> = [self.socket.as_fd()].into_iter().chain(sockets).collect();
        let mut polled: Vec<PollFd<'_>> = all
            .iter()
            .map(|one| PollFd::new(one, PollFlags::IN))
            .collect();
        let patience = Timespec::try_from(patience).ok();
        // Where it is interrupted nothing is there, which is as well.
        let _ = poll(&mut polled, patience.as_ref());
        drop(polled);
        self.accept();
        let mut kept: usize = self.links.iter().map(|link| link.bytes.len()).sum();
        for link in self.links.iter_mut().filter(|link| link.is_open) {
            kept += link.read(MOST.saturating_sub(kept));
        }
    }

    fn accept(&mut self) {
        while let Ok((stream, _)) = self.socket.accept() {
            if stream.set_nonblocking(true).is_ok() {
                self.links.push(Link {
                    stream,
                    bytes: Vec::new(),
                    is_open: true,
                });
            }
        }
    }

    /// What became of each: those that called, and those that should have.
    fn children(self) -> Vec<RecordedChild> {
        let mut called = HashSet::new();
        let mut children = Vec::new();
        for link in self.links {
            let Some((hello, report)) = link.told() else {
                continue;
            };
            called.insert(hello.pid);
            if !hello.helps {
                children.push(RecordedChild {
                    pid: hello.pid,
                    how: hello.how,
                    report,
                });
            }
        }
        children.extend(self.seen.silent(&called));
        children
    }
}

impl Link {
    /// Takes what is there. How much that was.
    fn read(&mut self, most: usize) -> usize {
        let mut part = [0; 1 << 16];
        let before = self.bytes.len();
        loop {
            match self.stream.read(&mut part) {
                Ok(0) => self.is_open = false,
                Ok(count) if self.bytes.len() - before + count <= most => {
                    self.bytes.extend_from_slice(&part[..count]);
                    continue;
                }
                // There is no room for more.
                Ok(_) => self.is_open = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => self.is_open = false,
            }
            return self.bytes.len() - before;
        }
    }

    /// Who it was, and what it reports.
    fn told(self) -> Option<(Hello, Result<String, String>)> {
        let text = String::from_utf8_lossy(&self.bytes);
        let (hello, rest) = text.split_once('\n')?;
        let hello: Hello = serde_json::from_str(hello).ok()?;
        let report = match (&hello.silent, self.is_open) {
            (Some(why), _) => Err(why.clone()),
            (None, true) => Err(format!(
                "did not answer within {} s{}",
                DEADLINE.as_secs(),
                where_it_is(hello.pid)
            )),
            (None, false) if rest.is_empty() => {
                Err("ended without a report: it was killed, or ended by native code (_exit)".into())
            }
            (None, false) => Ok(rest.to_owned()),
        };
        Some((hello, report))
    }
}

impl Seen {
    fn look(&mut self) {
        if self.looked.is_some_and(|looked| looked.elapsed() < PAUSE) {
            return;
        }
        self.looked = Some(Instant::now());
        for one in descendants() {
            if runs_python(one.0) {
                *self.looks.entry(one).or_default() += 1;
            }
        }
    }

    /// Who ran Python and has not called. Between its fork and its program a process looks like this one, but not twice.
    fn silent(&self, called: &HashSet<i32>) -> Vec<RecordedChild> {
        let looks = self
            .looks
            .iter()
            .filter(|(one, looks)| !called.contains(&one.0) && **looks > 1);
        let mut silent: Vec<RecordedChild> = looks
            .map(|(one, _)| RecordedChild {
                pid: one.0,
                how: "process".into(),
                report: Err(match self.before.contains(one) {
                    true => "began before the cell: have the cell start it, as after the shutdown of its pool".into(),
                    false => "ran Python, but not the hook by which it would have recorded: it was started with -I, -E or \
                              an environment of its own, or forked by native code"
                        .into(),
                }),
            })
            .collect();
        silent.sort_by_key(|child| child.pid);
        silent
    }
}

/// Where a process stands that does not answer, as seen from outside.
fn where_it_is(pid: i32) -> String {
    // It may be in the middle of a system call: nothing in it is stopped.
    let manner = Manner {
        may_stop: false,
        interrupted: None,
    };
    let Ok(Some(found)) = look(pid, manner) else {
        return String::new();
    };
    let holds = |gil: &Option<Gil>| matches!(gil, Some(Gil::Holder));
    let mut threads = found.threads.iter();
    let thread = threads.find(|thread| holds(&thread.gil));
    let Some(thread) = thread.or(found.threads.first()) else {
        return String::new();
    };
    let mut calls = thread.merged.calls.iter();
    let python = calls.find(|call| call.kind == FrameKind::Python);
    let python = python.map_or_else(String::new, |call: &StackFrame| {
        format!(", called by {}", call.line())
    });
    let top = thread.merged.top().unwrap_or_default();
    format!("; its thread {} is in {top}{python}", thread.name)
}
