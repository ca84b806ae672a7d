//! What live views ask: what the process does, and the profile of the rest of a cell. Each question is answered in silence, by
//! a thread that never takes the GIL.
//!
//! A front end that asks faster than it is answered is told so, and nothing is stacked up: of each client, one question
//! of each kind waits.

use std::collections::HashSet;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, OnceLock};

use diaphane_magics::{
    Monitor, Room, begin_profile, end_profile, note_thread_names, profile_state,
};
use diaphane_sight::threads::OwnThread;
use diaphane_wire::monitor::{LiveRequest, MonitorRequest, ProfileAction};
use diaphane_wire::request::MagicRequest;
use diaphane_wire::{Channel, Outgoing, reply};
use parking_lot::Mutex;

use super::{magic_requests, threads};
use crate::kernel::Kernel;
use crate::outbox::{Item, Parent};

/// The type of the reply to `profile_request`.
const PROFILE_REPLY: &str = "profile_reply";

/// A question that waits for its answer.
#[derive(Clone)]
struct Question {
    parent: Parent,
    request: LiveRequest,
}

/// What a question is about.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Threads,
    Stack,
    Profile,
}

/// Who has asked, and about what.
type Pending = Mutex<HashSet<(Vec<Vec<u8>>, Kind)>>;

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
pub fn ask(kernel: &Arc<Kernel>, parent: &Parent, request: LiveRequest) -> Result<(), Refused> {
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

fn serve(kernel: &Arc<Kernel>, questions: &Receiver<Question>) {
    let _own = OwnThread::begin();
    let mut monitor = Monitor::default();
    while let Ok(question) = questions.recv() {
        let message = match question.request {
            LiveRequest::Monitor(request) => look(&mut monitor, request, || {
                if threads::is_ready() {
                    // They come with a later answer.
                    let _ = magic_requests::with_python(note_thread_names);
                }
            }),
            LiveRequest::Profile(ProfileAction::Read) => {
                read(kernel, question);
                continue;
            }
            LiveRequest::Profile(action) => change(action),
        };
        question.answer(kernel, message);
    }
}

/// What is to be seen at this moment. `note_names` is called where Python may know names that are not known here.
pub(super) fn look(
    monitor: &mut Monitor,
    request: MonitorRequest,
    note_names: impl FnOnce(),
) -> Outgoing {
    const TYPE: &str = "monitor_reply";
    match monitor.look(request.epoch, request.thread, request.stack, request.why) {
        Ok(moment) => {
            if moment.wants_names {
                note_names();
            }
            Outgoing::new(TYPE, &reply::MonitorReply::new(&moment, profile_state()))
        }
        Err(sentence) => Outgoing::new(TYPE, &reply::Failed::new("RuntimeError", sentence)),
    }
}

/// Begins a profile, or ends one.
pub(super) fn change(action: ProfileAction) -> Outgoing {
    let state = match action {
        ProfileAction::Begin => begin_profile().map(Some),
        _ => Ok(end_profile()),
    };
    match state {
        Ok(state) => Outgoing::new(PROFILE_REPLY, &reply::ProfileReply::new(state)),
        Err(refused) => {
            let failed = reply::Failed::new(refused.name(), refused.to_string());
            Outgoing::new(PROFILE_REPLY, &failed)
        }
    }
}

/// The question by which the report of the last profile is read, as `%native_prof --last` does in a cell.
pub(super) fn last_profile() -> magic_requests::MagicQuestion {
    magic_requests::MagicQuestion {
        magic: MagicRequest {
            name: "native_prof".into(),
            line: "--last".into(),
        },
        room: Room::Notebook,
        reply_type: PROFILE_REPLY,
    }
}

/// Has the report made where Python is, or else without.
fn read(kernel: &Arc<Kernel>, question: Question) {
    let (asking, asked) = (Arc::clone(kernel), question.clone());
    let begun = magic_requests::ask_soon(last_profile(), threads::is_ready(), move |message| {
        asked.answer(&asking, message);
    });
    if let Err(error) = begun {
        let sentence = format!("no thread could be started for it: {error}");
        let failed = reply::Failed::new("RuntimeError", sentence);
        question.answer(kernel, Outgoing::new(PROFILE_REPLY, &failed));
    }
}

impl Question {
    fn key(&self) -> (Vec<Vec<u8>>, Kind) {
        let kind = match self.request {
            LiveRequest::Profile(_) => Kind::Profile,
            LiveRequest::Monitor(request) if request.stack || request.why => Kind::Stack,
            LiveRequest::Monitor(_) => Kind::Threads,
        };
        (self.parent.identities.clone(), kind)
    }

    fn answer(&self, kernel: &Kernel, message: Outgoing) {
        pending().lock().remove(&self.key());
        kernel.outbox.push([Item::Reply {
            channel: Channel::Control,
            parent: Arc::clone(&self.parent),
            message,
        }]);
    }
}
