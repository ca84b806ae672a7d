//! Magics that are asked by message: answered at once, also while a cell holds the GIL.
//!
//! A thread of its own waits for the GIL. Where it gets it soon, the magic sees Python's objects too; where it does not,
//! another thread asks without. Whoever claims the question first answers it, so that it is answered once.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use diaphane_magics::{Bundle, Refusal, Room};
use diaphane_sight::threads::OwnThread;
use diaphane_wire::request::MagicRequest;
use diaphane_wire::{Channel, Outgoing, publish, reply};
use parking_lot::{Condvar, Mutex};
use pyo3::prelude::*;

use crate::host::thread_state;
use crate::kernel::Kernel;
use crate::outbox::{Item, Parent};

/// The type of the reply to `magic_request`.
pub(super) const REPLY: &str = "magic_reply";

/// How long the GIL is waited for: a running cell of Python gives it away every 5 ms.
const TIMEOUT: Duration = Duration::from_millis(10);

/// How long an idle Python needs at the most.
const IDLE: Duration = Duration::from_millis(1);

/// A report by MIME type, or why there is none.
pub(super) type Answer = Result<Bundle, Refusal>;

/// Takes an answer to the one who has asked.
type Reply = Box<dyn FnOnce(Outgoing) + Send>;

/// A magic that is asked, and how.
pub(super) struct MagicQuestion {
    pub magic: MagicRequest,
    pub room: Room,
    /// The type of the reply.
    pub reply_type: &'static str,
}

/// A question, and who answers it.
struct Ask {
    question: MagicQuestion,
    reply: Mutex<Option<Reply>>,
    claimed: Mutex<bool>,
    was_claimed: Condvar,
}

/// Answers a question from the control channel or from an idle shell, soon and from another thread.
///
/// # Errors
/// When no thread can be started.
pub fn ask(
    kernel: &Arc<Kernel>,
    channel: Channel,
    parent: &Parent,
    magic: MagicRequest,
) -> std::io::Result<()> {
    let (kernel, parent) = (Arc::clone(kernel), Arc::clone(parent));
    let is_ready = super::threads::is_ready();
    answer_soon(magic, is_ready, move |message| {
        let idle = Item::status(&parent, publish::IDLE);
        let reply = Item::Reply {
            channel,
            parent,
            message,
        };
        kernel.outbox.push([reply, idle]);
    })
}

/// Answers a question from another thread, which gives the answer to `reply`. Python is asked where it is there already.
///
/// # Errors
/// When no thread can be started.
pub fn answer_soon(
    magic: MagicRequest,
    is_python_there: bool,
    reply: impl FnOnce(Outgoing) + Send + 'static,
) -> std::io::Result<()> {
    ask_soon(MagicQuestion::of(magic), is_python_there, reply)
}

/// The same for a question that is asked otherwise.
pub(super) fn ask_soon(
    question: MagicQuestion,
    is_python_there: bool,
    reply: impl FnOnce(Outgoing) + Send + 'static,
) -> std::io::Result<()> {
    let ask = Arc::new(Ask {
        question,
        reply: Mutex::new(Some(Box::new(reply))),
        claimed: Mutex::new(false),
        was_claimed: Condvar::new(),
    });
    let asked = Arc::clone(&ask);
    let with_python = is_python_there && with_python(move |py| asked.serve(py))?;
    std::thread::Builder::new()
        .name("diaphane-ask".into())
        .spawn(move || {
            let _own = OwnThread::begin();
            ask.serve_alone(with_python);
        })
        .map(drop)
}

/// What is to be done with the GIL.
type Errand = Box<dyn FnOnce(Python<'_>) + Send>;

/// Does something on the thread that waits for the GIL, when it has it; the first errand starts it. Whether it will.
///
/// # Errors
/// When no thread can be started.
pub(super) fn with_python(
    errand: impl FnOnce(Python<'_>) + Send + 'static,
) -> std::io::Result<bool> {
    static QUEUE: OnceLock<Sender<Errand>> = OnceLock::new();
    if QUEUE.get().is_none() {
        let (queue, errands) = mpsc::channel::<Errand>();
        std::thread::Builder::new()
            .name("diaphane-askpy".into())
            .spawn(move || run(errands))?;
        let _ = QUEUE.set(queue);
    }
    let queue = QUEUE.get();
    Ok(queue.is_some_and(|queue| queue.send(Box::new(errand)).is_ok()))
}

fn run(errands: Receiver<Errand>) {
    let _own = OwnThread::begin();
    // As each thread that runs Python.
    diaphane_magics::leave_signals();
    thread_state::attach(|py| {
        let mut errands = errands.into_iter();
        while let Some(errand) = py.detach(|| errands.next()) {
            errand(py);
        }
    });
}

impl Ask {
    /// Whether the question is the caller's to answer.
    fn claim(&self) -> bool {
        let mut claimed = self.claimed.lock();
        self.was_claimed.notify_all();
        !std::mem::replace(&mut claimed, true)
    }

    /// Answers with Python, unless it was answered without.
    fn serve(&self, py: Python<'_>) {
        if self.claim() {
            let answer = self.question.answer(Some(py));
            py.detach(|| self.send(answer));
        }
    }

    /// Answers without Python, unless the thread with Python comes. Where it takes longer than an idle Python needs, the
    /// answer is prepared meanwhile.
    fn serve_alone(&self, with_python: bool) {
        let deadline = Instant::now() + TIMEOUT;
        if with_python && !self.is_left_alone(Instant::now() + IDLE) {
            return;
        }
        let magic = &self.question.magic;
        let only_looks = diaphane_magics::may_ask_twice(&magic.name, &magic.line);
        let prepared = only_looks.then(|| self.question.answer(None));
        if (!with_python || self.is_left_alone(deadline)) && self.claim() {
            self.send(prepared.unwrap_or_else(|| self.question.answer(None)));
        }
    }

    /// Waits for the thread with Python until then. Whether it did not come.
    fn is_left_alone(&self, deadline: Instant) -> bool {
        let mut claimed = self.claimed.lock();
        while !*claimed
            && !self
                .was_claimed
                .wait_until(&mut claimed, deadline)
                .timed_out()
        {}
        !*claimed
    }

    fn send(&self, answer: Outgoing) {
        let reply = self.reply.lock().take();
        if let Some(reply) = reply {
            reply(answer);
        }
    }
}

impl MagicQuestion {
    /// As `magic_request` asks.
    pub(super) fn of(magic: MagicRequest) -> Self {
        Self {
            magic,
            room: Room::Unlimited,
            reply_type: REPLY,
        }
    }

    pub(super) fn answer(&self, py: Option<Python<'_>>) -> Outgoing {
        message(self.reply_type, &answer(py, &self.magic, self.room))
    }
}

pub(super) fn answer(py: Option<Python<'_>>, magic: &MagicRequest, room: Room) -> Answer {
    diaphane_magics::ask(py, &magic.name, &magic.line, room)
}

pub(super) fn message(kind: &'static str, answer: &Answer) -> Outgoing {
    match answer {
        Ok(data) => Outgoing::new(kind, &reply::MagicReply::new(data)),
        Err(refusal) => Outgoing::new(kind, &reply::Failed::new(refusal.ename, &refusal.evalue)),
    }
}
