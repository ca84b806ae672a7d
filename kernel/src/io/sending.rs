//! The sending half of the io thread: what the outbox holds is signed and sent, in its order.
//!
//! Subscribers that do not read hold up the others for a while, so that nothing is lost; then they are let go.

use std::mem::ManuallyDrop;
use std::time::{Duration, Instant};

use diaphane_sight::crash::handler::is_dying;
use diaphane_wire::{Channel, Frames, Message, Outgoing, publish};

use super::subscribers::MOST_UNREAD;
use super::{FAREWELL, Io};
use crate::outbox::{Item, Mail, StandardStream};

/// How soon it is tried again whether there is room.
const RETRY: Duration = Duration::from_millis(2);
/// How long subscribers that do not read may hold up the others.
const TIMEOUT: Duration = Duration::from_secs(5);

impl Io {
    /// Sends what is due. How long to wait for what is not.
    pub(super) fn send_mail(&mut self) -> Option<Duration> {
        if !self.send_unsent() {
            return Some(RETRY);
        }
        match self.kernel.outbox.take() {
            Mail::Later(pause) => pause,
            Mail::Items(items) => {
                for item in items {
                    match is_dying() {
                        true => self.send_copy(&ManuallyDrop::new(item)),
                        false => self.send(item),
                    }
                }
                Some(Duration::ZERO)
            }
        }
    }

    fn send(&mut self, item: Item) {
        self.large.count(item.size());
        match item {
            Item::Text {
                stream,
                parent,
                text,
            } => self.publish_text(parent.as_deref(), stream, &text),
            Item::Publish { parent, message } => self.publish(parent.as_deref(), message),
            Item::Reply {
                channel,
                parent,
                message,
            } => self.reply(channel, &parent, message),
        }
    }

    pub(super) fn reply(&mut self, channel: Channel, parent: &Message, message: Outgoing) {
        let frames = self
            .session
            .encode(&parent.identities, Some(&parent.raw_header), message);
        if let Err(error) = self
            .sockets
            .get(channel)
            .send_multipart(frames, zmq::DONTWAIT)
        {
            tracing::debug!(%error, "a client went away before its reply");
        }
    }

    pub(super) fn publish_text(
        &mut self,
        parent: Option<&Message>,
        stream: StandardStream,
        text: &str,
    ) {
        let name = stream.name();
        self.publish(
            parent,
            Outgoing::new("stream", &publish::Stream { name, text }),
        );
    }

    pub(super) fn publish(&mut self, parent: Option<&Message>, message: Outgoing) {
        let topic = format!("kernel.{}.{}", self.session.id(), message.msg_type).into_bytes();
        let frames = self.session.encode(
            &[topic],
            parent.map(|parent| parent.raw_header.as_slice()),
            message,
        );
        self.send_on_iopub(frames);
    }

    pub(super) fn send_on_iopub(&mut self, frames: Frames) {
        self.unsent.push_back(frames);
        self.send_unsent();
    }

    /// Sends what subscribers had no room for. Whether all of it is sent.
    fn send_unsent(&mut self) -> bool {
        while let Some(frames) = self.unsent.pop_front() {
            if let Err(frames) = self.sockets.publish(frames) {
                self.unsent.push_front(frames);
                self.hurry();
                return false;
            }
            self.stuck = None;
        }
        true
    }

    /// Has waited long enough for subscribers, or has not yet.
    fn hurry(&mut self) {
        let since = *self.stuck.get_or_insert_with(Instant::now);
        if since.elapsed() >= TIMEOUT {
            let gone = self.sockets.let_go_who_do_not_read();
            tracing::warn!(
                "{gone} of the clients read nothing of what is published, and {MOST_UNREAD} bytes wait for them; they were let go"
            );
            self.stuck = None;
        }
    }

    /// Sends what is left, and closes the sockets.
    pub(super) fn close(mut self) {
        self.kernel.drain_capture();
        self.kernel.outbox.push(self.kernel.live_pictures.take());
        let main = self.kernel.lanes.main();
        let left = main.last_answers("KernelEnded", &self.kernel.why_ended());
        self.kernel.outbox.push(left);
        let left = self.kernel.outbox.take_all();
        left.into_iter().for_each(|item| self.send(item));
        let timeout = Instant::now() + FAREWELL;
        while !self.send_unsent() && Instant::now() < timeout {
            std::thread::sleep(RETRY);
        }
        self.sockets.remove_files();
    }
}
