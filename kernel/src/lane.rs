//! A lane: the requests that one Python thread answers, one after the other.
//!
//! The main thread has one, the debugger has one, and each subshell has one. What the io thread has answered itself waits
//! here too, so that no reply overtakes one before it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use diaphane_wire::reply::refusal;
use diaphane_wire::{Channel, Request};
use parking_lot::Mutex;

use crate::exit::DEAD;
use crate::notifier::Notifier;
use crate::outbox::{Item, Parent};

/// A request that waits for Python.
pub struct Job {
    /// The message, to be answered.
    pub parent: Parent,
    /// What it asks.
    pub request: Request,
    /// Where it came from.
    pub channel: Channel,
    /// Whether busy was published for it already.
    pub announced: bool,
    /// Whether a cell before it has failed, so that it is not to run.
    pub aborted: bool,
}

impl Job {
    /// A request that nobody was told of yet.
    #[must_use]
    pub fn new(channel: Channel, parent: Parent, request: Request) -> Self {
        Self {
            parent,
            request,
            channel,
            announced: false,
            aborted: false,
        }
    }

    fn is_cell(&self) -> bool {
        matches!(self.request, Request::Execute(_)) && !self.aborted
    }
}

/// What waits in a lane for its turn.
pub enum Waiting {
    /// A request.
    Job(Job),
    /// Busy, the reply and idle of a request that needed no Python.
    Answer(Vec<Item>),
}

/// What begins now.
pub struct Begun {
    /// What it is.
    pub waiting: Waiting,
    /// Whether a cell runs beside it, which waits in an `await`.
    pub nested: bool,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    running: bool,
    closed: bool,
    /// The request that closed the lane, to be answered at its end.
    last: Option<Job>,
}

/// The queue of one Python thread.
pub struct Lane {
    /// The subshell's id, where it is one's.
    id: Option<String>,
    state: Mutex<State>,
    /// The request that the thread answers, or answered last.
    present: Mutex<Option<Parent>>,
    notifier: Notifier,
}

impl Lane {
    /// An empty lane, of a subshell where there is an id.
    ///
    /// # Errors
    /// When the process has no file descriptor left.
    pub fn new(id: Option<&str>) -> std::io::Result<Self> {
        Ok(Self {
            id: id.map(str::to_owned),
            state: Mutex::default(),
            present: Mutex::default(),
            notifier: Notifier::new()?,
        })
    }

    /// The subshell's id, where it is one's.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The request that the thread answers, or answered last: output of threads without a request of their own, and of
    /// native code on the main thread's lane, belongs to it.
    pub fn present(&self) -> Option<Parent> {
        self.present.lock().clone()
    }

    /// The same, where nobody holds the lock who died with it.
    pub fn try_present(&self) -> Option<Parent> {
        self.present.try_lock_for(DEAD)?.clone()
    }

    /// A request begins, or goes on.
    pub fn set_present(&self, parent: &Parent) {
        *self.present.lock() = Some(Arc::clone(parent));
    }

    /// The notifier that says that there is something to do.
    pub fn notifier(&self) -> &Notifier {
        &self.notifier
    }

    /// Adds a request.
    pub fn push(&self, job: Job) {
        self.add(Waiting::Job(job));
    }

    /// Adds the messages that answer a request, behind what waits.
    pub fn push_answer(&self, items: Vec<Item>) {
        self.add(Waiting::Answer(items));
    }

    fn add(&self, waiting: Waiting) {
        self.state.lock().waiting.push_back(waiting);
        self.notifier.notify();
    }

    /// What may begin now: while a cell runs, only messages of comms may. It runs from here on, until `set_running` says
    /// that its reply is in the outbox: in between, the lane is never idle, and no later answer goes past it.
    pub fn next(&self) -> Option<Begun> {
        let mut state = self.state.lock();
        let position = state.startable()?;
        let waiting = state.waiting.remove(position)?;
        let nested = state.running;
        state.running = true;
        Some(Begun { waiting, nested })
    }

    /// Rings if there is something that may begin now.
    pub fn ring_if_ready(&self) {
        let state = self.state.lock();
        if state.closed || state.startable().is_some() {
            self.notifier.notify();
        }
    }

    /// Says whether a cell is running.
    pub fn set_running(&self, running: bool) {
        self.state.lock().running = running;
    }

    /// Whether nothing runs and nothing waits.
    pub fn is_idle(&self) -> bool {
        let state = self.state.lock();
        !state.running && state.waiting.is_empty()
    }

    /// The request that was announced and has not begun, where nobody holds the lock who died with it.
    pub fn announced(&self) -> Option<Parent> {
        let state = self.state.try_lock_for(DEAD)?;
        state.waiting.iter().find_map(|waiting| match waiting {
            Waiting::Job(job) if job.announced => Some(Arc::clone(&job.parent)),
            Waiting::Job(_) | Waiting::Answer(_) => None,
        })
    }

    /// Whether a cell waits.
    pub fn has_cell(&self) -> bool {
        let state = self.state.lock();
        state
            .waiting
            .iter()
            .any(|one| matches!(one, Waiting::Job(job) if job.is_cell()))
    }

    /// Says that the cells that wait are not to run. They are answered in their turn.
    pub fn abort(&self) {
        for waiting in &mut self.state.lock().waiting {
            if let Waiting::Job(job) = waiting {
                job.aborted |= job.is_cell();
            }
        }
    }

    /// Tells the thread to end after the request that it is answering; a request asked for that, or nobody did.
    pub fn close(&self, request: Option<Job>) {
        let mut state = self.state.lock();
        state.closed = true;
        state.last = request;
        self.notifier.notify();
    }

    /// The request that closed the lane.
    pub fn take_last(&self) -> Option<Job> {
        self.state.lock().last.take()
    }

    /// The answers that still wait in a lane that has ended. Requests before them are answered by an error of this name.
    pub fn last_answers(&self, ename: &str, sentence: &str) -> Vec<Item> {
        let waiting = std::mem::take(&mut self.state.lock().waiting);
        let answers = waiting.into_iter().map(|one| match one {
            Waiting::Answer(items) => items,
            Waiting::Job(job) => {
                let message = refusal(&job.parent, ename, sentence);
                let mut items = Item::answer(job.channel, &job.parent, message);
                // Busy was published for the first one already.
                items.drain(..usize::from(job.announced));
                items
            }
        });
        answers.flatten().collect()
    }

    /// Whether the thread was told to end.
    pub fn is_closed(&self) -> bool {
        self.state.lock().closed
    }
}

impl State {
    fn startable(&self) -> Option<usize> {
        let passes = |one: &Waiting| matches!(one, Waiting::Job(job) if matches!(job.request, Request::Comm(_)));
        self.waiting
            .iter()
            .position(|one| !self.running || passes(one))
    }
}

/// The lanes of the kernel.
pub struct Lanes {
    main: Arc<Lane>,
    debugger: Arc<Lane>,
    subshells: Mutex<HashMap<String, Arc<Lane>>>,
}

impl Lanes {
    /// The lanes that there always are: the main thread's and the debugger's.
    ///
    /// # Errors
    /// When the process has no file descriptor left.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self {
            main: Arc::new(Lane::new(None)?),
            debugger: Arc::new(Lane::new(None)?),
            subshells: Mutex::default(),
        })
    }

    /// The main thread's lane.
    pub fn main(&self) -> &Arc<Lane> {
        &self.main
    }

    /// The debugger's lane: a cell that stands at a breakpoint holds the main thread.
    pub fn debugger(&self) -> &Arc<Lane> {
        &self.debugger
    }

    /// The lane of a subshell, or of the main thread where none is named.
    pub fn find(&self, subshell: Option<&str>) -> Option<Arc<Lane>> {
        match subshell {
            None => Some(Arc::clone(&self.main)),
            Some(id) => self.subshells.lock().get(id).cloned(),
        }
    }

    /// Adds a subshell's lane.
    ///
    /// # Errors
    /// When the process has no file descriptor left.
    pub fn add(&self, id: &str) -> std::io::Result<Arc<Lane>> {
        let lane = Arc::new(Lane::new(Some(id))?);
        self.subshells
            .lock()
            .insert(id.to_owned(), Arc::clone(&lane));
        Ok(lane)
    }

    /// Removes a subshell's lane, to be closed.
    pub fn remove(&self, id: &str) -> Option<Arc<Lane>> {
        self.subshells.lock().remove(id)
    }

    /// The subshells' ids, sorted.
    pub fn ids(&self) -> Vec<String> {
        let mut ids: Vec<String> = self.subshells.lock().keys().cloned().collect();
        ids.sort();
        ids
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use diaphane_wire::{Header, Message};

    fn job(msg_type: &str, content: &str) -> Job {
        let header = Header {
            msg_type: msg_type.to_owned(),
            ..Header::default()
        };
        let message = Message {
            header,
            content: content.as_bytes().to_vec(),
            ..Message::default()
        };
        let request = Request::parse(&message).unwrap();
        Job::new(Channel::Shell, Arc::new(message), request)
    }

    /// The message type of the request that begins, or the number of messages of the answer.
    fn next(lane: &Lane) -> Option<Result<(String, bool), usize>> {
        lane.next().map(|begun| match begun.waiting {
            Waiting::Job(job) => Ok((job.parent.header.msg_type.clone(), job.aborted)),
            Waiting::Answer(items) => Err(items.len()),
        })
    }

    fn begins(msg_type: &str) -> Option<Result<(String, bool), usize>> {
        Some(Ok((msg_type.to_owned(), false)))
    }

    #[test]
    fn only_comms_pass_a_running_cell() {
        let lane = Lane::new(None).unwrap();
        lane.push(job("execute_request", r#"{"code":""}"#));
        lane.push_answer(Vec::new());
        lane.push(job("comm_msg", r#"{"comm_id":"c"}"#));
        lane.set_running(true);
        let comm = lane.next().unwrap();
        assert!(comm.nested && matches!(comm.waiting, Waiting::Job(_)));
        assert!(lane.next().is_none());
        lane.set_running(false);
        assert_eq!(next(&lane), begins("execute_request"));
        assert!(next(&lane).is_none() && !lane.is_idle());
        lane.set_running(false);
        assert_eq!(next(&lane), Some(Err(0)));
        assert!(!lane.is_idle(), "the answer is not in the outbox yet");
        lane.set_running(false);
        assert!(lane.is_idle());
    }

    #[test]
    fn an_abort_is_for_cells_and_keeps_the_order() {
        let lane = Lane::new(None).unwrap();
        lane.push(job("execute_request", r#"{"code":"1"}"#));
        lane.push_answer(Vec::new());
        lane.push(job("is_complete_request", r#"{"code":"2"}"#));
        lane.abort();
        assert!(!lane.has_cell());
        let aborted = ("execute_request".to_owned(), true);
        let rest = [
            Some(Ok(aborted)),
            Some(Err(0)),
            begins("is_complete_request"),
        ];
        for expected in rest {
            assert_eq!(next(&lane), expected);
            lane.set_running(false);
        }
    }

    #[test]
    fn a_removed_subshell_is_gone_and_can_be_closed() {
        let lanes = Lanes::new().unwrap();
        let lane = lanes.add("a").unwrap();
        assert_eq!(lanes.ids(), ["a"]);
        assert!(lanes.remove("a").is_some() && lanes.remove("a").is_none());
        assert!(lanes.find(Some("a")).is_none());
        lane.close(Some(job(
            "delete_subshell_request",
            r#"{"subshell_id":"a"}"#,
        )));
        assert!(lane.is_closed() && lane.take_last().is_some() && lane.take_last().is_none());
    }
}
