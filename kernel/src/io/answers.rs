//! The requests that need no Python, answered while a cell runs, also while native code holds the GIL.

use std::sync::Arc;

use diaphane_sight::proc::host::UsageMeter;
use diaphane_wire::monitor::{LiveRequest, is_silent};
use diaphane_wire::request::MagicRequest;
use diaphane_wire::{Channel, Outgoing, Request, publish, reply};

use super::Io;
use crate::host;
use crate::host::monitor_requests::Refused;
use crate::lane::{Job, Lane};
use crate::outbox::Parent;

impl Io {
    /// The reply, where Python is not needed for it.
    pub(super) fn answer_without_python(
        &mut self,
        parent: &Parent,
        request: &Request,
    ) -> Option<Outgoing> {
        Some(match request {
            Request::KernelInfo => Outgoing::raw("kernel_info_reply", self.kernel.info.clone()),
            Request::Connect => Outgoing::new(
                "connect_reply",
                &reply::Connect::new(&self.kernel.connection),
            ),
            Request::Interrupt => {
                // Before Python is there it is for the cell that waits. Without one it was for the kernel that died, and
                // has waited for this one since.
                if host::threads::is_ready() || self.kernel.lanes.main().has_cell() {
                    self.kernel.main_thread.interrupt();
                }
                Outgoing::new("interrupt_reply", &reply::DONE)
            }
            Request::Shutdown(shutdown) => self.shut_down(parent, shutdown.restart),
            Request::Usage => {
                let usage = self.usage.get_or_insert_with(UsageMeter::new).sample();
                Outgoing::new("usage_reply", &usage)
            }
            Request::CreateSubshell => self.create_subshell(parent),
            Request::ListSubshell => Outgoing::new(
                "list_subshell_reply",
                &reply::ListSubshell::new(self.kernel.lanes.ids()),
            ),
            _ => return None,
        })
    }

    /// Lets a magic look at the process, on a thread of its own: some take longer than a client's heartbeat may wait.
    pub(super) fn ask(&mut self, channel: Channel, parent: &Parent, magic: MagicRequest) {
        self.publish_later(Some(parent), Outgoing::new("status", &publish::BUSY));
        if let Err(error) = host::magic_requests::ask(&self.kernel, channel, parent, magic) {
            let sentence = format!("no thread could be started for the magic: {error}");
            self.refuse(channel, parent, "RuntimeError", sentence);
        }
    }

    /// What Python prints for the control channel belongs to its latest request. A silent one prints nothing.
    pub(super) fn note_parent(&self, channel: Channel, parent: &Parent) {
        if channel == Channel::Control && !is_silent(&parent.header.msg_type) {
            self.kernel.set_control_parent(parent);
        }
    }

    /// The lane that asked on a comm what this request answers.
    pub(super) fn asker(&self, request: &Request) -> Option<Arc<Lane>> {
        match request {
            Request::Comm(Some(question)) => self.kernel.take_asker(question),
            _ => None,
        }
    }

    /// Lets a live view look at the process, on a thread of its own.
    pub(super) fn look(&mut self, parent: &Parent, request: LiveRequest) {
        let refused = host::monitor_requests::ask(&self.kernel, parent, request);
        let (ename, sentence) = match refused {
            Ok(()) => return,
            Err(Refused::Busy) => (
                "MonitorBusy",
                "your last question of this kind is not answered yet; ask again when it is"
                    .to_owned(),
            ),
            Err(Refused::NoThread(error)) => (
                "RuntimeError",
                format!("no thread could be started for it: {error}"),
            ),
        };
        self.refuse(Channel::Control, parent, ename, sentence);
    }

    /// Says that the kernel is busy with a request, or idle again, unless that is one to be silent about.
    pub(super) fn say(&self, parent: &Parent, status: &publish::Status) {
        if !is_silent(&parent.header.msg_type) {
            self.publish_later(Some(parent), Outgoing::new("status", status));
        }
    }

    /// Every client hears of the end; the main thread has a moment to end by itself.
    fn shut_down(&mut self, parent: &Parent, restart: bool) -> Outgoing {
        let content = reply::ShutdownReply::new(restart);
        self.publish_later(Some(parent), Outgoing::new("shutdown_reply", &content));
        self.kernel.crash.asked_to_end();
        let running = !self.kernel.lanes.main().is_idle();
        self.kernel.stop();
        if running {
            self.kernel.main_thread.interrupt();
        }
        Outgoing::new("shutdown_reply", &content)
    }

    fn create_subshell(&mut self, parent: &Parent) -> Outgoing {
        // The request's own id is as unique as one of ours.
        let id = parent.header.msg_id.clone();
        match host::threads::start_subshell(&self.kernel, &id) {
            Ok(()) => Outgoing::new("create_subshell_reply", &reply::CreateSubshell::new(id)),
            Err(error) => {
                let sentence = format!("no subshell could be started: {error}");
                Outgoing::new(
                    "create_subshell_reply",
                    &reply::Failed::new("SubshellError", sentence),
                )
            }
        }
    }

    /// Ends a subshell; the reply comes when its thread has ended.
    pub(super) fn delete_subshell(&mut self, id: &str, job: Job) {
        let Some(lane) = self.kernel.lanes.remove(id) else {
            let sentence = unknown_subshell(id);
            return self.refuse(job.channel, &job.parent, UNKNOWN_SUBSHELL, sentence);
        };
        self.publish_later(Some(&job.parent), Outgoing::new("status", &publish::BUSY));
        lane.close(Some(job));
    }
}

/// The name of the error where a subshell is not there; ipykernel's, as is the sentence.
pub(super) const UNKNOWN_SUBSHELL: &str = "UnknownSubshellError";

/// What such an error says.
pub(super) fn unknown_subshell(id: &str) -> String {
    format!("Unknown subshell_id '{id}'")
}
