//! Who calls at a guest's socket: one thread takes the questions and hands out the answers, and waits for no caller alone.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::mem;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use diaphane_wire::request::MagicRequest;
use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::socket_peercred;
use rustix::process::getuid;
use serde_json::json;

use crate::host::magic_requests::answer_soon;
use crate::notifier::Notifier;

/// So many are served at once.
const MOST: usize = 16;
/// No question is longer.
const LONGEST: usize = 64 << 10;
/// Who asks has sent the question by then, and who is answered has read the answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a process without descriptors is left alone.
const MOMENT: Duration = Duration::from_millis(100);

/// What the thread that serves shares with those that find the answers.
pub(super) struct Callers {
    ended: AtomicBool,
    /// Rung when there is an answer, or the end.
    notifier: Notifier,
    answers: Mutex<Vec<Caller>>,
    /// How many have asked, and have no answer yet.
    unanswered: AtomicUsize,
}

/// Somebody at the other end of a connection.
struct Caller {
    stream: UnixStream,
    until: Instant,
    task: Task,
}

/// What is to be done for a caller.
enum Task {
    /// Read a question, of which this has come.
    Read(Vec<u8>),
    /// Write an answer, of which this is left.
    Write(Vec<u8>),
}

/// A question that is being answered; without an answer, its caller is let go.
struct Unanswered {
    callers: Arc<Callers>,
    stream: Option<UnixStream>,
}

impl Callers {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            ended: AtomicBool::new(false),
            notifier: Notifier::new()?,
            answers: Mutex::default(),
            unanswered: AtomicUsize::new(0),
        })
    }

    /// Ends [`serve`](Self::serve).
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.notifier.notify();
    }

    /// Serves all who call, until the end.
    pub(super) fn serve(self: &Arc<Self>, listener: &UnixListener) {
        let mut callers = Vec::new();
        while !self.ended.load(Ordering::Acquire) {
            self.wait(listener, &callers);
            self.notifier.clear();
            callers.append(&mut self.answers.lock());
            let served = mem::take(&mut callers).into_iter();
            callers.extend(served.filter_map(|caller| self.serve_one(caller)));
            self.let_in(listener, &mut callers);
        }
    }

    /// Waits until there is something to do.
    fn wait(&self, listener: &UnixListener, callers: &[Caller]) {
        let mut all = vec![PollFd::new(&self.notifier, PollFlags::IN)];
        all.extend(callers.iter().map(Caller::poll));
        if self.has_room(callers) {
            all.push(PollFd::new(listener, PollFlags::IN));
        }
        let first = callers.iter().map(|caller| caller.until).min();
        let left = first.map(|until| until.saturating_duration_since(Instant::now()));
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        // Where it fails, all is tried, and nobody is waited for.
        let _ready = poll(&mut all, left.as_ref());
    }

    /// Whether one more can be served, if need be in the place of one who has asked nothing yet.
    fn has_room(&self, callers: &[Caller]) -> bool {
        callers.len() + self.unanswered.load(Ordering::Acquire) < MOST
            || callers.iter().any(Caller::has_not_asked)
    }

    fn let_in(&self, listener: &UnixListener, callers: &mut Vec<Caller>) {
        while self.has_room(callers) {
            let stream = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => {
                    // The process has no descriptor left, and who waits there is told of without a pause.
                    thread::sleep(MOMENT);
                    return;
                }
            };
            // The folder lets nobody else in; this holds where its rights were changed.
            let is_same = socket_peercred(&stream).is_ok_and(|peer| peer.uid == getuid());
            if !is_same || stream.set_nonblocking(true).is_err() {
                continue;
            }
            if callers.len() + self.unanswered.load(Ordering::Acquire) >= MOST {
                let first = callers.iter().position(Caller::has_not_asked);
                first.map(|first| callers.remove(first));
            }
            callers.push(Caller::new(stream, Task::Read(Vec::new())));
        }
    }

    /// Does for a caller what can be done now; nothing is left of one who is done with.
    fn serve_one(self: &Arc<Self>, mut caller: Caller) -> Option<Caller> {
        let is_done = match &mut caller.task {
            Task::Read(question) => read(&caller.stream, question),
            Task::Write(answer) => write(&caller.stream, answer),
        };
        match (is_done, caller.task) {
            (Ok(true), Task::Read(question)) => self.ask(&question, caller.stream),
            (Ok(false), task) if Instant::now() < caller.until => {
                return Some(Caller { task, ..caller });
            }
            // Who goes away in the middle gets no answer.
            _ => {}
        }
        None
    }

    fn ask(self: &Arc<Self>, question: &[u8], stream: UnixStream) {
        self.unanswered.fetch_add(1, Ordering::AcqRel);
        let unanswered = Unanswered {
            callers: Arc::clone(self),
            stream: Some(stream),
        };
        match serde_json::from_slice::<MagicRequest>(question) {
            Ok(magic) => {
                // Where no thread can be started, the caller is let go.
                let _started =
                    answer_soon(magic, true, |message| unanswered.answer(message.content));
            }
            Err(error) => {
                let evalue = format!("this is no question: {error}");
                let refused = json!({"status": "error", "ename": "ValueError", "evalue": evalue});
                unanswered.answer(refused.to_string().into_bytes());
            }
        }
    }
}

impl Unanswered {
    fn answer(mut self, answer: Vec<u8>) {
        let stream = self.stream.take();
        let caller = stream.map(|stream| Caller::new(stream, Task::Write(answer)));
        self.callers.answers.lock().extend(caller);
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        self.callers.unanswered.fetch_sub(1, Ordering::AcqRel);
        self.callers.notifier.notify();
    }
}

impl Caller {
    fn new(stream: UnixStream, task: Task) -> Self {
        Self {
            stream,
            until: Instant::now() + PATIENCE,
            task,
        }
    }

    fn has_not_asked(&self) -> bool {
        matches!(self.task, Task::Read(_))
    }

    fn poll(&self) -> PollFd<'_> {
        let flags = match self.task {
            Task::Read(_) => PollFlags::IN,
            Task::Write(_) => PollFlags::OUT,
        };
        PollFd::new(&self.stream, flags)
    }
}

/// Reads what has come. Whether the question is complete.
fn read(mut stream: &UnixStream, question: &mut Vec<u8>) -> io::Result<bool> {
    let mut buffer = [0_u8; 4096];
    loop {
        match now(stream.read(&mut buffer))? {
            None => return Ok(false),
            Some(0) if question.is_empty() => return Err(ErrorKind::UnexpectedEof.into()),
            Some(0) => return Ok(true),
            Some(count) => question.extend_from_slice(&buffer[..count]),
        }
        if question.ends_with(b"\n") || question.len() > LONGEST {
            return Ok(true);
        }
    }
}

/// Writes what is taken now. Whether that was all.
fn write(mut stream: &UnixStream, answer: &mut Vec<u8>) -> io::Result<bool> {
    while !answer.is_empty() {
        match now(stream.write(answer))? {
            None => return Ok(false),
            Some(count) => drop(answer.drain(..count)),
        }
    }
    Ok(true)
}

/// How much was done, or nothing where that would have to wait.
fn now(done: io::Result<usize>) -> io::Result<Option<usize>> {
    match done {
        Ok(count) => Ok(Some(count)),
        Err(error) if error.kind() == ErrorKind::Interrupted => Ok(None),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}
