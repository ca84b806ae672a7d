//! Looking at the process for live views: each question is answered in silence, by a thread that never takes the GIL.
//!
//! A front end that asks faster than it is answered is told so, and nothing is stacked up: of each client, one question
//! waits that looks at threads, and one that looks at stacks.

use std::collections::HashSet;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, OnceLock};

use diaphane_magics::{Monitor, note_thread_names};
use diaphane_sight::threads::OwnThread;
use diaphane_wire::monitor::MonitorRequest;
use diaphane_wire::{Channel, Outgoing, reply};
use parking_lot::Mutex;

use super::{magic_requests, threads};
use crate::kernel::Kernel;
use crate::outbox::{Item, Parent};

/// A question that waits for its answer.
struct Question {
    parent: Parent,
    request: MonitorRequest,
}

/// Who has asked, and whether for a stack.
type Pending = Mutex<HashSet<(Vec<Vec<u8>>, bool)>>;

static PENDING: OnceLock<Pending> = OnceLock::new();
static QUEUE: OnceLock<Sender<Question>> = OnceLock::new();

/// Why a question is not answered.
pub enum Refused {
    /// The same client waits for an answer of this kind.
    Busy,
    /// No thread could be started.
    NoThread(std::io::Error),
}

/// Has a question from the control channel answered.
///
/// # Errors
/// When it will have no answer.
pub fn ask(kernel: &Arc<Kernel>, parent: &Parent, request: MonitorRequest) -> Result<(), Refused> {
    let queue = queue(kernel).map_err(Refused::NoThread)?;
    let question = Question {
        parent: Arc::clone(parent),
        request,
    };
    if !pending().lock().insert(question.key()) {
        return Err(Refused::Busy);
    }
    let gone = |_| Refused::NoThread(std::io::ErrorKind::BrokenPipe.into());
    queue.send(question).map_err(gone)
}

fn pending() -> &'static Pending {
    PENDING.get_or_init(Mutex::default)
}

/// The way to the thread that looks; the first question starts it.
fn queue(kernel: &Arc<Kernel>) -> std::io::Result<&'static Sender<Question>> {
    if let Some(queue) = QUEUE.get() {
        return Ok(queue);
    }
    let (queue, questions) = mpsc::channel();
    let kernel = Arc::clone(kernel);
    std::thread::Builder::new()
        .name("diaphane-monit".into())
        .spawn(move || serve(&kernel, &questions))?;
    Ok(QUEUE.get_or_init(|| queue))
}

fn serve(kernel: &Kernel, questions: &Receiver<Question>) {
    let _own = OwnThread::begin();
    let mut monitor = Monitor::default();
    while let Ok(question) = questions.recv() {
        let message = answer(&mut monitor, question.request);
        pending().lock().remove(&question.key());
        kernel.outbox.push([Item::Reply {
            channel: Channel::Control,
            parent: question.parent,
            message,
        }]);
    }
}

fn answer(monitor: &mut Monitor, request: MonitorRequest) -> Outgoing {
    const TYPE: &str = "monitor_reply";
    match monitor.look(request.epoch, request.thread, request.stack, request.why) {
        Ok(moment) => {
            if moment.wants_names && threads::is_ready() {
                // They come with a later answer.
                let _ = magic_requests::with_python(note_thread_names);
            }
            Outgoing::new(TYPE, &reply::MonitorReply::new(&moment))
        }
        Err(sentence) => Outgoing::new(TYPE, &reply::Failed::new("RuntimeError", sentence)),
    }
}

impl Question {
    fn key(&self) -> (Vec<Vec<u8>>, bool) {
        let wants_stack = self.request.stack || self.request.why;
        (self.parent.identities.clone(), wants_stack)
    }
}
