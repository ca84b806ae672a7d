//! The io thread: the one owner of every socket. It never takes the GIL.
//!
//! It waits for clients, for mail in the outbox, for native output and for the parent's death in one `zmq::poll`, answers
//! on its own what needs no Python, and hands the rest to a lane.

mod answers;
pub mod client;
mod large_messages;
mod last_words;
mod nudges;
mod sending;
mod socket_files;
mod sockets;
mod subscribers;

use std::collections::VecDeque;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use answers::{UNKNOWN_SUBSHELL, unknown_subshell};
use diaphane_sight::crash::handler::is_dying;
use diaphane_sight::proc::host::UsageMeter;
use diaphane_wire::{Channel, Frames, Outgoing, Request, Session, publish, reply};

use crate::exit;
use crate::host;
use crate::kernel::Kernel;
use crate::lane::{Job, Lane};
use crate::outbox::{Item, Parent, StandardStream};
use crate::sigint;
use large_messages::LargeMessages;
use nudges::Nudges;
pub use sockets::Sockets;

/// How long the main thread has to end after a shutdown request.
const FAREWELL: Duration = Duration::from_millis(2500);

/// How often memory is looked at while a cell runs.
const LOOK: Duration = Duration::from_millis(250);

/// The state of the io thread.
pub struct Io {
    kernel: Arc<Kernel>,
    sockets: Sockets,
    session: Session,
    usage: Option<UsageMeter>,
    /// What subscribers had no room for, and since when.
    unsent: VecDeque<Frames>,
    stuck: Option<Instant>,
    large: LargeMessages,
    nudges: Nudges,
    parent_process: Option<OwnedFd>,
    /// When the process ends, whatever the main thread does.
    deadline: Option<Instant>,
    /// When memory was looked at while a cell runs, or the cell began.
    looked: Option<Instant>,
}

/// Starts the io thread.
///
/// # Errors
/// When no thread can be started.
pub fn spawn(kernel: Arc<Kernel>, sockets: Sockets) -> std::io::Result<JoinHandle<()>> {
    let session = Session::new(&kernel.id, &kernel.connection.key, "kernel");
    let io = Io {
        kernel,
        sockets,
        session,
        usage: None,
        unsent: VecDeque::new(),
        stuck: None,
        large: LargeMessages::default(),
        nudges: Nudges::new(),
        parent_process: parent_process(),
        deadline: None,
        looked: None,
    };
    std::thread::Builder::new()
        .name("diaphane-io".into())
        .spawn(move || io.run_or_die())
}

/// The process that started us, by its own word, to be watched.
fn parent_process() -> Option<OwnedFd> {
    use rustix::process::{Pid, PidfdFlags, pidfd_open};
    let pid = std::env::var("JPY_PARENT_PID").ok()?.parse().ok()?;
    // Process 1 is nobody's parent by choice: we were started by it, or orphaned in a container.
    let pid = Pid::from_raw(pid).filter(|pid| pid.as_raw_nonzero().get() > 1)?;
    pidfd_open(pid, PidfdFlags::empty())
        .inspect_err(|error| tracing::debug!(%error, "the parent is not watched"))
        .ok()
}

impl Io {
    /// Without its sockets the kernel would hang: then it is better gone, and Jupyter starts another one.
    fn run_or_die(self) {
        self.kernel.crash.tell_here();
        sigint::watch(self.kernel.outbox.notifier());
        diaphane_magics::let_run(rustix::thread::gettid().as_raw_nonzero().get());
        if std::panic::catch_unwind(AssertUnwindSafe(|| self.run())).is_err() {
            exit::now(1);
        }
    }

    fn run(mut self) {
        self.publish_later(None, Outgoing::new("status", &publish::STARTING));
        loop {
            if is_dying() {
                self.last_words();
            }
            let pause = [self.send_mail(), self.watch_memory(), self.nudges.step()]
                .into_iter()
                .flatten()
                .min();
            if self.kernel.is_stopping() && self.deadline.is_none() {
                self.deadline = Some(Instant::now() + FAREWELL);
            }
            self.large.give_back(
                self.kernel.lanes.main().is_idle(),
                self.sockets.is_all_read(),
            );
            self.wait(pause);
            if self
                .deadline
                .is_some_and(|deadline| deadline <= Instant::now())
            {
                self.close();
                exit::now(0);
            }
            if self.kernel.has_ended() {
                return self.close();
            }
        }
    }

    /// What may happen, in the order in which `deal_with` has it.
    fn sources(&self) -> [zmq::PollItem<'_>; 11] {
        const NONE: RawFd = -1;
        let kernel = &self.kernel;
        let readable = |fd| zmq::PollItem::from_fd(fd, zmq::POLLIN);
        // Native code that writes faster than clients read has to wait in its `write`.
        let listen = !kernel.outbox.is_full();
        let output = |fd| readable(if listen { fd } else { NONE });
        let [out, err] = kernel.capture.fds();
        let parent = self.parent_process.as_ref();
        [
            self.sockets.control.as_poll_item(zmq::POLLIN),
            self.sockets.shell.as_poll_item(zmq::POLLIN),
            self.sockets.stdin.as_poll_item(zmq::POLLIN),
            self.sockets.iopub.as_poll_item(zmq::POLLIN),
            self.sockets.heartbeat.as_poll_item(zmq::POLLIN),
            readable(kernel.outbox.notifier().as_raw_fd()),
            output(out),
            output(err),
            output(kernel.children.fd()),
            readable(parent.map_or(NONE, AsRawFd::as_raw_fd)),
            readable(kernel.crash.waker().as_raw_fd()),
        ]
    }

    /// Waits for something to happen, and deals with it.
    fn wait(&mut self, pause: Option<Duration>) {
        let mut sources = self.sources();
        match zmq::poll(&mut sources, self.timeout(pause)) {
            Ok(_) => {
                let ready = sources.map(|source| source.is_readable());
                self.deal_with(ready);
            }
            Err(error) => tracing::debug!(%error, "poll"),
        }
    }

    fn deal_with(&mut self, ready: [bool; 11]) {
        let [
            control,
            shell,
            stdin,
            iopub,
            heartbeat,
            mail,
            out,
            err,
            children,
            parent,
            dying,
        ] = ready;
        if parent {
            self.sockets.remove_files();
            exit::now(1);
        }
        if dying {
            return;
        }
        if mail {
            self.kernel.outbox.notifier().clear();
        }
        if out || err {
            self.kernel.drain_capture();
        }
        if children {
            self.kernel.publish_for_children();
        }
        if heartbeat {
            self.echo();
        }
        if iopub {
            self.welcome();
        }
        for (ready, channel) in [
            (control, Channel::Control),
            (stdin, Channel::Stdin),
            (shell, Channel::Shell),
        ] {
            while ready && let Some(frames) = self.sockets.receive(channel) {
                self.receive(channel, frames);
            }
        }
    }

    /// While a cell runs, warns where memory is nearly used up. When to look again.
    fn watch_memory(&mut self) -> Option<Duration> {
        if !self.kernel.crash.is_running() {
            self.looked = None;
            return None;
        }
        let looked = *self.looked.get_or_insert_with(Instant::now);
        let left = LOOK.saturating_sub(looked.elapsed());
        if !left.is_zero() {
            return Some(left);
        }
        self.looked = Some(Instant::now());
        if let Some(warning) = diaphane_magics::look_at_memory() {
            let parent = self.kernel.current();
            self.kernel
                .outbox
                .write(StandardStream::Stderr, parent.as_ref(), &warning);
        }
        Some(LOOK)
    }

    fn timeout(&self, pause: Option<Duration>) -> i64 {
        let until = |moment: Instant| moment.saturating_duration_since(Instant::now());
        let others = [self.deadline, self.large.due()].map(|moment| moment.map(until));
        let pause = others.into_iter().chain([pause]).flatten().min();
        // Rounded up, so that the thread does not come too early and spin.
        pause.map_or(-1, |pause| {
            i64::try_from(pause.as_micros().div_ceil(1000)).unwrap_or(i64::MAX)
        })
    }

    fn echo(&self) {
        while let Some(frames) = self.sockets.receive(Channel::Heartbeat) {
            if let Err(error) = self.sockets.heartbeat.send_multipart(frames, zmq::DONTWAIT) {
                tracing::warn!(%error, "a heartbeat was not answered");
            }
        }
    }

    /// Greets new subscribers (JEP 65), so that they know that nothing of what follows is lost.
    fn welcome(&mut self) {
        while let Some(frames) = self.sockets.receive(Channel::Iopub) {
            if let Some([1, topic @ ..]) = frames.first().map(Vec::as_slice) {
                let subscription = String::from_utf8_lossy(topic);
                let welcome = Outgoing::new(
                    "iopub_welcome",
                    &publish::Welcome {
                        subscription: &subscription,
                    },
                );
                let frames = self.session.encode(&[topic.to_vec()], None, welcome);
                self.send_on_iopub(frames);
            }
        }
    }

    fn receive(&mut self, channel: Channel, frames: Frames) {
        self.large.count(frames.iter().map(Vec::len).sum());
        let message = match self.session.decode(frames) {
            Ok(message) => Arc::new(message),
            Err(error) => return tracing::warn!(%error, ?channel, "a message was dropped"),
        };
        tracing::debug!(?channel, msg_type = message.header.msg_type, "received");
        self.large.keep(&message);
        match Request::parse(&message) {
            Ok(Request::InputReply(input)) => {
                let question = message.parent_id();
                let (client, input_of) = (&message.identities, &self.kernel.input);
                input_of.deliver(client, question.as_deref(), input.value);
            }
            Err(error) => {
                tracing::warn!(%error, msg_type = message.header.msg_type, "a request was refused");
                if channel != Channel::Stdin {
                    self.refuse(channel, &message, "InvalidMessage", error.to_string());
                }
            }
            Ok(_) if channel == Channel::Stdin => {
                tracing::warn!(
                    msg_type = message.header.msg_type,
                    "not for the stdin channel"
                );
            }
            Ok(request) => self.route(channel, message, request),
        }
    }

    /// Answers a request here, or gives it to the lane that it is for.
    fn route(&mut self, channel: Channel, parent: Parent, request: Request) {
        self.note_parent(channel, &parent);
        if channel == Channel::Shell && request.is_for_control() {
            let sentence = format!(
                "{} is for the control channel: on shell, replies come in the order of the requests",
                parent.header.msg_type
            );
            return self.refuse(channel, &parent, "WrongChannel", sentence);
        }
        if matches!(request, Request::Debug) {
            return self.debug(channel, parent, request);
        }
        let asker = self.asker(&request);
        let subshell = parent.header.subshell_id.as_deref();
        let Some(lane) = asker.or_else(|| self.kernel.lanes.find(subshell)) else {
            let sentence = unknown_subshell(subshell.unwrap_or_default());
            return self.refuse(channel, &parent, UNKNOWN_SUBSHELL, sentence);
        };
        match request {
            Request::DeleteSubshell(ref subshell) => {
                let id = subshell.subshell_id.clone();
                self.delete_subshell(&id, Job::new(channel, parent, request));
            }
            Request::Magic(magic) if channel == Channel::Control => {
                self.ask(channel, &parent, magic);
            }
            Request::Live(request) => self.look(&parent, request),
            Request::Unknown => {
                tracing::warn!(msg_type = parent.header.msg_type, "an unknown request");
                self.answer(channel, &parent, None);
            }
            request => match self.answer_without_python(&parent, &request) {
                Some(message) => self.answer(channel, &parent, Some(message)),
                None => self.hand_over(&lane, Job::new(channel, parent, request)),
            },
        }
    }

    /// Gives a request to a lane. One that is idle begins with it, and says so before Python is even there.
    fn hand_over(&self, lane: &Lane, mut job: Job) {
        if lane.is_idle() {
            // Through the outbox, behind what is left of the request before.
            let busy = Item::status(&job.parent, publish::BUSY);
            self.kernel.outbox.push([busy]);
            job.announced = true;
        }
        lane.push(job);
    }

    /// Gives a request to the debugger, which the first one starts.
    fn debug(&mut self, channel: Channel, parent: Parent, request: Request) {
        match host::threads::start_debugger() {
            Ok(()) => self.hand_over(
                self.kernel.lanes.debugger(),
                Job::new(channel, parent, request),
            ),
            Err(error) => {
                let sentence = format!("no thread could be started for the debugger: {error}");
                self.refuse(channel, &parent, "DebuggerError", sentence);
            }
        }
    }

    /// Answers with an error, where the request has a reply.
    fn refuse(&mut self, channel: Channel, parent: &Parent, ename: &str, sentence: String) {
        self.answer(channel, parent, reply::refusal(parent, ename, sentence));
    }

    /// Busy, the reply if there is one, idle. On control at once; on shell behind all replies to what came before, which
    /// the lane or the outbox may still have.
    fn answer(&mut self, channel: Channel, parent: &Parent, message: Option<Outgoing>) {
        if channel == Channel::Control {
            self.say(parent, &publish::BUSY);
            if let Some(message) = message {
                self.reply(channel, parent, message);
            }
            return self.say(parent, &publish::IDLE);
        }
        let items = Item::answer(channel, parent, message);
        match self.kernel.lanes.find(parent.header.subshell_id.as_deref()) {
            Some(lane) if !lane.is_idle() => lane.push_answer(items),
            _ => self.kernel.outbox.push(items),
        }
    }

    /// Everything that is published goes through the outbox, so that it has one order.
    fn publish_later(&self, parent: Option<&Parent>, message: Outgoing) {
        let parent = parent.cloned();
        self.kernel.outbox.push([Item::Publish { parent, message }]);
    }
}
