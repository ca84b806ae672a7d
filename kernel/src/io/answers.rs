//! The requests that need no Python, answered while a cell runs, also while native code holds the GIL.

use diaphane_sight::host::UsageMeter;
use diaphane_wire::{Outgoing, Request, reply};

use super::Io;
use crate::host;
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
                self.kernel.main_thread.interrupt();
                Outgoing::new("interrupt_reply", &reply::DONE)
            }
            Request::Shutdown(shutdown) => self.shut_down(parent, shutdown.restart),
            Request::Usage => {
                let usage = self.usage.get_or_insert_with(UsageMeter::new).sample();
                Outgoing::new("usage_reply", &usage)
            }
            Request::CreateSubshell => self.create_subshell(parent),
            Request::DeleteSubshell(subshell) => self.delete_subshell(&subshell.subshell_id),
            Request::ListSubshell => Outgoing::new(
                "list_subshell_reply",
                &reply::ListSubshell::new(self.kernel.lanes.ids()),
            ),
            _ => return None,
        })
    }

    /// Every client hears of the end; the main thread has a moment to end by itself.
    fn shut_down(&mut self, parent: &Parent, restart: bool) -> Outgoing {
        let content = reply::Shutdown::new(restart);
        self.publish(Some(parent), Outgoing::new("shutdown_reply", &content));
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

    fn delete_subshell(&mut self, id: &str) -> Outgoing {
        if self.kernel.lanes.remove(id) {
            return Outgoing::new("delete_subshell_reply", &reply::DONE);
        }
        let sentence = format!("there is no subshell {id:?}");
        Outgoing::new(
            "delete_subshell_reply",
            &reply::Failed::new("UnknownSubshell", sentence),
        )
    }
}
