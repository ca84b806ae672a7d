//! A lane: the requests that one Python thread answers, one after the other.
//!
//! The main thread has one, the debugger has one, and each subshell has one.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use diaphane_wire::{Channel, Request};
use parking_lot::Mutex;

use crate::exit::DEAD;
use crate::notifier::Notifier;
use crate::outbox::Parent;

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
        }
    }
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    running: bool,
    closed: bool,
    /// The request that closed the lane, to be answered at its end.
    last: Option<Job>,
}

/// The queue of one Python thread.
pub struct Lane {
    state: Mutex<State>,
    notifier: Notifier,
}

impl Lane {
    /// An empty lane.
    ///
    /// # Errors
    /// When the process has no file descriptor left.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self {
            state: Mutex::default(),
            notifier: Notifier::new()?,
        })
    }

    /// The notifier that says that there is something to do.
    pub fn notifier(&self) -> &Notifier {
        &self.notifier
    }

    /// Adds a request.
    pub fn push(&self, job: Job) {
        self.state.lock().jobs.push_back(job);
        self.notifier.notify();
    }

    /// The next request that may begin now: while a cell runs, only messages of comms may.
    pub fn next(&self) -> Option<Job> {
        let mut state = self.state.lock();
        let position = state.startable()?;
        state.jobs.remove(position)
    }

    /// Rings if there is a request that may begin now.
    pub fn ring_if_ready(&self) {
        let state = self.state.lock();
        if state.closed || state.startable().is_some() {
            self.notifier.notify();
        }
    }

    /// Says whether a cell is running. What it was before.
    pub fn set_running(&self, running: bool) -> bool {
        std::mem::replace(&mut self.state.lock().running, running)
    }

    /// Whether nothing runs and nothing waits.
    pub fn is_idle(&self) -> bool {
        let state = self.state.lock();
        !state.running && state.jobs.is_empty()
    }

    /// The request that was announced and has not begun, where nobody holds the lock who died with it.
    pub fn announced(&self) -> Option<Parent> {
        let state = self.state.try_lock_for(DEAD)?;
        let job = state.jobs.iter().find(|job| job.announced)?;
        Some(Arc::clone(&job.parent))
    }

    /// Whether a cell waits.
    pub fn has_cell(&self) -> bool {
        let is_cell = |job: &Job| matches!(job.request, Request::Execute(_));
        self.state.lock().jobs.iter().any(is_cell)
    }

    /// Takes out the execute requests that wait.
    pub fn abort(&self) -> Vec<Job> {
        let mut state = self.state.lock();
        let (aborted, kept) = std::mem::take(&mut state.jobs)
            .into_iter()
            .partition(|job| matches!(job.request, Request::Execute(_)));
        state.jobs = kept;
        Vec::from(aborted)
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

    /// Whether the thread was told to end.
    pub fn is_closed(&self) -> bool {
        self.state.lock().closed
    }
}

impl State {
    fn startable(&self) -> Option<usize> {
        let may_begin = |job: &Job| !self.running || matches!(job.request, Request::Comm);
        self.jobs.iter().position(may_begin)
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
            main: Arc::new(Lane::new()?),
            debugger: Arc::new(Lane::new()?),
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
        let lane = Arc::new(Lane::new()?);
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

    #[test]
    fn only_comms_pass_a_running_cell() {
        let lane = Lane::new().unwrap();
        lane.push(job("execute_request", r#"{"code":""}"#));
        lane.push(job("comm_msg", "{}"));
        lane.set_running(true);
        assert!(matches!(
            lane.next().map(|job| job.request),
            Some(Request::Comm)
        ));
        assert!(lane.next().is_none());
        lane.set_running(false);
        assert!(matches!(
            lane.next().map(|job| job.request),
            Some(Request::Execute(_))
        ));
        assert!(lane.is_idle());
    }

    #[test]
    fn an_abort_takes_executes_and_leaves_the_rest() {
        let lane = Lane::new().unwrap();
        lane.push(job("execute_request", r#"{"code":"1"}"#));
        lane.push(job("kernel_info_request", "{}"));
        lane.push(job("execute_request", r#"{"code":"2"}"#));
        assert_eq!(lane.abort().len(), 2);
        assert!(matches!(
            lane.next().map(|job| job.request),
            Some(Request::KernelInfo)
        ));
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
