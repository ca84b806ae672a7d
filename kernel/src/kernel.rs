//! What the threads of the kernel share, and the life of the whole.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use diaphane_wire::{CommQuestion, Connection, Message, Outgoing};
use parking_lot::Mutex;

use crate::capture::Capture;
use crate::children::{Children, FromChild};
use crate::crash::Crash;
use crate::input::Input;
use crate::lane::{Lane, Lanes};
use crate::live_pictures::LivePictures;
use crate::outbox::{Item, Outbox, Parent};
use crate::signals::MainThread;

/// What the io thread, the main thread and the subshells share.
pub struct Kernel {
    /// The id of the kernel's session.
    pub id: String,
    /// Where clients find us.
    pub connection: Connection,
    /// `kernel_info_reply`, computed once, as JSON.
    pub info: Vec<u8>,
    /// What is to be sent.
    pub outbox: Outbox,
    /// What is to be answered by Python.
    pub lanes: Lanes,
    /// File descriptors 1 and 2.
    pub capture: Capture,
    /// What forked children hand over.
    pub children: Children,
    /// What is told when the process dies.
    pub crash: Crash,
    /// Questions to the user.
    pub input: Input,
    /// What is left of outputs that change.
    pub live_pictures: LivePictures,
    /// The thread that SIGINT goes to.
    pub main_thread: MainThread,
    /// What comms were asked, each with the lane that asked.
    asked: Mutex<HashMap<CommQuestion, Arc<Lane>>>,
    control: Mutex<Option<Parent>>,
    stopping: AtomicBool,
    ended: AtomicBool,
    why_ended: Mutex<Option<String>>,
}

/// Of more questions nobody awaits the answers.
const MOST_ASKED: usize = 1000;

impl Kernel {
    /// A lane asks something on a comm: the answer is for it, whatever subshell a front end has for the comm.
    pub fn note_asker(&self, question: CommQuestion, lane: Arc<Lane>) {
        let mut asked = self.asked.lock();
        if asked.len() >= MOST_ASKED {
            asked.clear();
        }
        asked.insert(question, lane);
    }

    /// Who has asked what is answered now, once.
    pub fn take_asker(&self, question: &CommQuestion) -> Option<Arc<Lane>> {
        let lane = self.asked.lock().remove(question)?;
        // It may be deleted by now.
        self.lanes
            .find(lane.id())
            .filter(|found| Arc::ptr_eq(found, &lane))
    }

    /// The shared state of a kernel whose main thread is the calling one. Redirects file descriptors 1 and 2.
    ///
    /// # Errors
    /// When the process has no file descriptor left.
    pub fn new(connection: Connection, info: Vec<u8>, crash: Crash) -> std::io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            id: diaphane_wire::new_id(),
            connection,
            info,
            outbox: Outbox::new()?,
            lanes: Lanes::new()?,
            capture: Capture::start()?,
            children: Children::new()?,
            crash,
            input: Input::default(),
            live_pictures: LivePictures::default(),
            main_thread: MainThread::this(),
            asked: Mutex::default(),
            control: Mutex::default(),
            stopping: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            why_ended: Mutex::default(),
        }))
    }

    /// The cell that runs on the main thread, or ran last: native output belongs to it.
    pub fn current(&self) -> Option<Parent> {
        self.lanes.main().present()
    }

    /// The same, where nobody holds the lock who died with it.
    pub fn try_current(&self) -> Option<Parent> {
        self.lanes.main().try_present()
    }

    /// The latest request on the control channel.
    pub fn control_parent(&self) -> Option<Parent> {
        self.control.lock().clone()
    }

    /// A request came on the control channel.
    pub fn set_control_parent(&self, parent: &Parent) {
        *self.control.lock() = Some(Arc::clone(parent));
    }

    /// Moves what native code has written into the outbox.
    pub fn drain_capture(&self) {
        self.capture.drain(&self.outbox, self.current().as_ref());
    }

    /// Publishes what forked children have handed over, below what they have printed before.
    pub fn publish_for_children(&self) {
        loop {
            match self.children.take() {
                Ok(Some((message, receipt))) => {
                    self.drain_capture();
                    self.outbox.push([self.of_child(message)]);
                    drop(receipt);
                }
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(%error, "what a child process shows was dropped");
                }
            }
        }
    }

    /// It belongs where its child's text does, or where the child has chosen.
    fn of_child(&self, child: FromChild) -> Item {
        let lane = self.lanes.find(child.subshell.as_deref());
        let pinned = child.header.map(|header| {
            Arc::new(Message {
                raw_header: header.into_bytes(),
                ..Message::default()
            })
        });
        let mut message = Outgoing::raw(child.msg_type, child.content.into_bytes());
        message.metadata = child.metadata.into_bytes();
        message.buffers = child.buffers;
        Item::Publish {
            parent: pinned.or_else(|| lane?.present()),
            message,
        }
    }

    /// Asks the main thread to end.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.lanes.main().close(None);
    }

    /// Whether the kernel was asked to end.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Says that Python has ended: the io thread sends what is left and ends too.
    pub fn end(&self, why: Option<String>) {
        *self.why_ended.lock() = why;
        self.ended.store(true, Ordering::Release);
        self.outbox.push([]);
    }

    /// What requests are told that nobody answers any more.
    pub fn why_ended(&self) -> String {
        let why = self.why_ended.lock().clone();
        why.unwrap_or_else(|| "the kernel ended before it could answer".to_owned())
    }

    /// Whether Python has ended.
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }
}
