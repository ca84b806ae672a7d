//! What is to be sent, in its order: written by any thread, emptied by the io thread.
//!
//! Neighbouring texts of one stream and one parent are merged here, and a writer who is faster than the reader waits
//! here, so that memory stays bounded.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use diaphane_wire::{Channel, Message, Outgoing, publish};
use parking_lot::{Condvar, Mutex};

use crate::exit::DEAD;
use crate::notifier::Notifier;

/// The request that something answers or belongs to.
pub type Parent = Arc<Message>;

/// How long a text may wait for its neighbours.
const MERGE: Duration = Duration::from_millis(2);
/// The least time between two texts, unless somebody flushes.
const INTERVAL: Duration = Duration::from_millis(20);
/// The largest text in one message: a slow reader's queue is this times the high-water mark of iopub.
const LARGEST_TEXT: usize = 64 << 10;
/// How many bytes wait at the most before writers do.
const FULL: usize = 16 << 20;

/// One of the two output streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StandardStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl StandardStream {
    /// The protocol's name of it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// Something to send.
#[derive(Debug)]
pub enum Item {
    /// Text on iopub.
    Text {
        /// Where it was written.
        stream: StandardStream,
        /// The cell that wrote it.
        parent: Option<Parent>,
        /// What was written.
        text: String,
    },
    /// Another message on iopub.
    Publish {
        /// The request that it belongs to.
        parent: Option<Parent>,
        /// The message.
        message: Outgoing,
    },
    /// A message to one client.
    Reply {
        /// The socket.
        channel: Channel,
        /// The request, which names the client.
        parent: Parent,
        /// The message.
        message: Outgoing,
    },
}

impl Item {
    /// The state of the kernel, as it is published for a request.
    #[must_use]
    pub fn status(parent: &Parent, status: publish::Status) -> Self {
        Self::Publish {
            parent: Some(Arc::clone(parent)),
            message: Outgoing::new("status", &status),
        }
    }

    /// All that a request hears: busy, its reply if it has one, idle.
    #[must_use]
    pub fn answer(channel: Channel, parent: &Parent, message: Option<Outgoing>) -> Vec<Self> {
        let reply = message.map(|message| Self::Reply {
            channel,
            parent: Arc::clone(parent),
            message,
        });
        let busy = Self::status(parent, publish::BUSY);
        let idle = Self::status(parent, publish::IDLE);
        [Some(busy), reply, Some(idle)]
            .into_iter()
            .flatten()
            .collect()
    }

    fn is_text(&self) -> bool {
        matches!(self, Self::Text { .. })
    }

    /// How many bytes it has to send, about.
    pub fn size(&self) -> usize {
        match self {
            Self::Text { text, .. } => text.len(),
            Self::Publish { message, .. } | Self::Reply { message, .. } => message.size(),
        }
    }
}

/// When the queue should be sent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Due {
    /// Nothing waits.
    Empty,
    /// Texts wait since then, and may wait a little longer.
    Texts(Instant),
    /// Somebody asked for the texts.
    Flush,
    /// A message waits.
    Now,
}

struct Queue {
    items: VecDeque<Item>,
    bytes: usize,
    due: Due,
    texts_sent: Option<Instant>,
}

/// The queue to the io thread.
pub struct Outbox {
    queue: Mutex<Queue>,
    room: Condvar,
    notifier: Notifier,
}

/// What the io thread finds.
pub enum Mail {
    /// Send these.
    Items(VecDeque<Item>),
    /// Come again after this time; without one, when the notifier is readable.
    Later(Option<Duration>),
}

impl Outbox {
    /// An empty outbox.
    ///
    /// # Errors
    /// When the process has no file descriptor left.
    pub fn new() -> std::io::Result<Self> {
        let queue = Queue {
            items: VecDeque::new(),
            bytes: 0,
            due: Due::Empty,
            texts_sent: None,
        };
        Ok(Self {
            queue: Mutex::new(queue),
            room: Condvar::new(),
            notifier: Notifier::new()?,
        })
    }

    /// The notifier that says that there is mail.
    pub fn notifier(&self) -> &Notifier {
        &self.notifier
    }

    /// Adds messages, which leave together and at once.
    pub fn push(&self, items: impl IntoIterator<Item = Item>) {
        let mut queue = self.queue.lock();
        for item in items {
            queue.bytes += item.size();
            queue.items.push_back(item);
        }
        self.set_due(&mut queue, Due::Now);
    }

    /// Adds text. A text beyond the limit of one message is divided. Whether the writer should wait now.
    pub fn write(&self, stream: StandardStream, parent: Option<&Parent>, mut text: &str) -> bool {
        let mut queue = self.queue.lock();
        queue.bytes += text.len();
        while !text.is_empty() {
            let (now, later) = text.split_at(text.floor_char_boundary(LARGEST_TEXT));
            queue.append(stream, parent, now);
            text = later;
        }
        if queue.due == Due::Empty {
            self.set_due(&mut queue, Due::Texts(Instant::now()));
        }
        queue.bytes > FULL
    }

    /// Asks for the texts to be sent soon.
    pub fn flush(&self) {
        let mut queue = self.queue.lock();
        if matches!(queue.due, Due::Texts(_)) {
            self.set_due(&mut queue, Due::Flush);
        }
    }

    /// Whether writers should wait.
    pub fn is_full(&self) -> bool {
        self.queue.lock().bytes > FULL
    }

    /// Waits until there is room, this long at the most. Whether there is.
    pub fn wait_for_room(&self, timeout: Duration) -> bool {
        let mut queue = self.queue.lock();
        !self
            .room
            .wait_while_for(&mut queue, |queue| queue.bytes > FULL, timeout)
            .timed_out()
    }

    /// What is due now.
    pub fn take(&self) -> Mail {
        let mut queue = self.queue.lock();
        let now = Instant::now();
        let since = |pause| queue.texts_sent.map_or(now, |sent: Instant| sent + pause);
        let at = match queue.due {
            Due::Empty => return Mail::Later(None),
            Due::Texts(written) => since(INTERVAL).max(written + MERGE),
            Due::Flush => since(MERGE),
            Due::Now => now,
        };
        if at > now {
            return Mail::Later(Some(at - now));
        }
        // A text behind the last message is still being written: `print` writes its end by itself.
        let messages = queue.items.iter().rposition(|item| !item.is_text());
        let rest = messages.map_or_else(VecDeque::new, |last| queue.items.split_off(last + 1));
        let items = std::mem::replace(&mut queue.items, rest);
        queue.bytes = queue.items.iter().map(Item::size).sum();
        queue.due = match queue.items.is_empty() {
            true => Due::Empty,
            false => Due::Texts(now),
        };
        if items.iter().any(Item::is_text) {
            queue.texts_sent = Some(now);
        }
        self.room.notify_all();
        Mail::Items(items)
    }

    /// Everything, also what is not due; empty when there is nothing.
    pub fn take_all(&self) -> VecDeque<Item> {
        let mut queue = self.queue.lock();
        queue.due = Due::Empty;
        queue.bytes = 0;
        self.room.notify_all();
        std::mem::take(&mut queue.items)
    }

    /// Everything, where nobody holds the lock who died with it.
    pub fn try_take_all(&self) -> Option<VecDeque<Item>> {
        let mut queue = self.queue.try_lock_for(DEAD)?;
        Some(std::mem::take(&mut queue.items))
    }

    fn set_due(&self, queue: &mut Queue, due: Due) {
        if queue.due != Due::Now && queue.due != due {
            queue.due = due;
            self.notifier.notify();
        }
    }
}

impl Queue {
    fn append(&mut self, stream: StandardStream, parent: Option<&Parent>, text: &str) {
        if let Some(Item::Text {
            stream: last,
            parent: its,
            text: before,
        }) = self.items.back_mut()
            && *last == stream
            && its.as_ref().map(Arc::as_ptr) == parent.map(Arc::as_ptr)
            && before.len() + text.len() <= LARGEST_TEXT
        {
            before.push_str(text);
        } else {
            self.items.push_back(Item::Text {
                stream,
                parent: parent.cloned(),
                text: text.to_owned(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(outbox: &Outbox) -> Vec<Item> {
        outbox.take_all().into()
    }

    fn texts(items: &[Item]) -> Vec<&str> {
        let texts = items.iter().filter_map(|item| match item {
            Item::Text { text, .. } => Some(text.as_str()),
            _ => None,
        });
        texts.collect()
    }

    #[test]
    fn neighbours_of_one_cell_and_stream_are_merged() {
        let outbox = Outbox::new().unwrap();
        let (a, b) = (Parent::default(), Parent::default());
        outbox.write(StandardStream::Stdout, Some(&a), "1");
        outbox.write(StandardStream::Stdout, Some(&a), "2");
        outbox.write(StandardStream::Stderr, Some(&a), "3");
        outbox.write(StandardStream::Stdout, Some(&b), "4");
        outbox.write(StandardStream::Stdout, None, "5");
        assert_eq!(texts(&all(&outbox)), ["12", "3", "4", "5"]);
    }

    #[test]
    fn a_message_between_two_texts_stays_between_them() {
        let outbox = Outbox::new().unwrap();
        outbox.write(StandardStream::Stdout, None, "before");
        outbox.push([Item::Publish {
            parent: None,
            message: Outgoing::raw("display_data", vec![]),
        }]);
        outbox.write(StandardStream::Stdout, None, "after");
        let items = all(&outbox);
        assert!(matches!(
            items.as_slice(),
            [Item::Text { .. }, Item::Publish { .. }, Item::Text { .. }]
        ));
    }

    #[test]
    fn a_text_behind_a_message_is_not_torn() {
        let outbox = Outbox::new().unwrap();
        outbox.push([Item::Publish {
            parent: None,
            message: Outgoing::raw("clear_output", vec![]),
        }]);
        outbox.write(StandardStream::Stdout, None, "line");
        assert!(matches!(outbox.take(), Mail::Items(items) if items.len() == 1));
        assert!(matches!(outbox.take(), Mail::Later(Some(_))));
        outbox.write(StandardStream::Stdout, None, "\n");
        assert_eq!(texts(&all(&outbox)), ["line\n"]);
    }

    #[test]
    fn a_large_text_is_divided_between_characters() {
        let outbox = Outbox::new().unwrap();
        let text = "é".repeat(LARGEST_TEXT);
        outbox.write(StandardStream::Stdout, None, &text);
        let items = all(&outbox);
        assert!(texts(&items).iter().all(|part| part.len() <= LARGEST_TEXT));
        assert_eq!(texts(&items).concat(), text);
    }

    #[test]
    fn a_lone_text_waits_a_little_and_a_message_does_not() {
        let outbox = Outbox::new().unwrap();
        assert!(matches!(outbox.take(), Mail::Later(None)));
        outbox.write(StandardStream::Stdout, None, "x");
        assert!(matches!(outbox.take(), Mail::Later(Some(_))));
        outbox.push([]);
        assert!(matches!(outbox.take(), Mail::Items(_)));
    }

    #[test]
    fn it_is_full_until_it_is_emptied() {
        let outbox = Outbox::new().unwrap();
        outbox.write(StandardStream::Stdout, None, &"x".repeat(FULL + 1));
        assert!(outbox.is_full());
        assert!(!outbox.wait_for_room(Duration::ZERO));
        all(&outbox);
        assert!(!outbox.is_full());
        assert!(outbox.wait_for_room(Duration::ZERO));
    }
}
