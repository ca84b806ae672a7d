//! Questions to the user: which requests may ask them, and the answers.
//!
//! A question belongs to the request that asks, and goes with it. A client has one question at a time, since its answer
//! need not say to which one it is; the next one waits until that is answered. The io thread brings the answers.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::notifier::Notifier;
use crate::outbox::Parent;

/// All questions of the kernel.
#[derive(Default)]
pub struct Input {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The requests that run and may ask.
    allowed: Vec<Parent>,
    /// In the order in which they were asked.
    questions: Vec<Arc<Question>>,
}

/// A question that is not settled yet.
struct Question {
    /// The id of the message, by which a client may name it.
    id: String,
    request: Parent,
    state: Mutex<Progress>,
    notifier: Notifier,
}

/// How far a question has come.
enum Progress {
    Waits,
    Sent,
    Answered(String),
}

/// What has become of a question.
pub enum Turn {
    /// The client can be asked now.
    Ask,
    /// This is the answer.
    Answer(String),
    /// The request has ended, and nobody answers any more.
    Ended,
    /// Nothing: look whether a signal came, then wait on.
    Wait,
}

/// A question for as long as somebody waits for its answer.
pub struct Asking<'a> {
    input: &'a Input,
    question: Arc<Question>,
}

impl Input {
    /// A request begins that may ask.
    pub fn allow(&self, request: &Parent) {
        self.state.lock().allowed.push(Arc::clone(request));
    }

    /// A request has ended: it may ask no longer, and whoever waits for an answer is told.
    pub fn end(&self, request: &Parent) {
        let mut state = self.state.lock();
        state.allowed.retain(|one| !Arc::ptr_eq(one, request));
        let of_request = |one: &&Arc<Question>| Arc::ptr_eq(&one.request, request);
        state
            .questions
            .iter()
            .filter(of_request)
            .for_each(|one| one.notifier.notify());
    }

    /// The request of this id, if it runs and may ask.
    pub fn who_may_ask(&self, id: &str) -> Option<Parent> {
        let state = self.state.lock();
        let found = state.allowed.iter().find(|one| one.header.msg_id == id);
        found.cloned()
    }

    /// Begins a question of a request that may ask.
    ///
    /// # Errors
    /// When the process has no file descriptor left.
    pub fn ask(&self, request: &Parent) -> std::io::Result<Asking<'_>> {
        let question = Arc::new(Question {
            id: diaphane_wire::new_id(),
            request: Arc::clone(request),
            state: Mutex::new(Progress::Waits),
            notifier: Notifier::new()?,
        });
        question.notifier.notify();
        self.state.lock().questions.push(Arc::clone(&question));
        Ok(Asking {
            input: self,
            question,
        })
    }

    /// Hands an answer to the question that its client was asked. One to another question, if it says to which, or to
    /// none is dropped: nobody waits for it any more.
    pub fn deliver(&self, client: &[Vec<u8>], question: Option<&str>, answer: String) {
        let state = self.state.lock();
        let asked = state.questions.iter().find(|one| {
            one.request.identities == client
                && question.is_none_or(|id| id == one.id)
                && matches!(*one.state.lock(), Progress::Sent)
        });
        if let Some(question) = asked {
            *question.state.lock() = Progress::Answered(answer);
            question.notifier.notify();
        }
    }
}

impl Asking<'_> {
    /// The id of the message that asks.
    pub fn id(&self) -> &str {
        &self.question.id
    }

    /// Waits until something becomes of it.
    pub fn wait(&self) -> Turn {
        use rustix::event::{PollFd, PollFlags, poll};
        let notifier = &self.question.notifier;
        if poll(&mut [PollFd::new(notifier, PollFlags::IN)], None).is_err() {
            return Turn::Wait;
        }
        notifier.clear();
        self.turn()
    }

    /// What has become of it; a ring may have been for nothing.
    fn turn(&self) -> Turn {
        let all = self.input.state.lock();
        let mut state = self.question.state.lock();
        if let Progress::Answered(answer) = &mut *state {
            return Turn::Answer(std::mem::take(answer));
        }
        let request = &self.question.request;
        if !all.allowed.iter().any(|one| Arc::ptr_eq(one, request)) {
            return Turn::Ended;
        }
        let of_client = |one: &&Arc<Question>| one.request.identities == request.identities;
        let first = all.questions.iter().find(of_client);
        let is_first = first.is_some_and(|first| Arc::ptr_eq(first, &self.question));
        if is_first && matches!(*state, Progress::Waits) {
            *state = Progress::Sent;
            return Turn::Ask;
        }
        Turn::Wait
    }
}

impl Drop for Asking<'_> {
    /// The question is settled, or whoever asked was interrupted: it is the next one's turn.
    fn drop(&mut self) {
        let mut state = self.input.state.lock();
        state
            .questions
            .retain(|one| !Arc::ptr_eq(one, &self.question));
        for one in &state.questions {
            one.notifier.notify();
        }
    }
}

#[cfg(test)]
mod tests {
    use diaphane_wire::Message;

    use super::*;

    fn request(client: &[u8], id: &str) -> Parent {
        let mut message = Message::default();
        message.header.msg_id = id.to_owned();
        message.identities = vec![client.to_vec()];
        Arc::new(message)
    }

    fn is_sent(asking: &Asking<'_>) -> bool {
        matches!(asking.wait(), Turn::Ask)
    }

    fn answer(asking: &Asking<'_>) -> Option<String> {
        match asking.wait() {
            Turn::Answer(answer) => Some(answer),
            _ => None,
        }
    }

    #[test]
    fn a_client_is_asked_one_thing_at_a_time() {
        let input = Input::default();
        let [one, two, other] =
            [(b"a", "1"), (b"a", "2"), (b"b", "3")].map(|(client, id)| request(client, id));
        for request in [&one, &two, &other] {
            input.allow(request);
        }
        let [first, second, third] =
            [&one, &two, &other].map(|request| input.ask(request).unwrap());
        assert!(is_sent(&first) && !is_sent(&second) && is_sent(&third));
        input.deliver(&other.identities, None, "of b".into());
        input.deliver(&one.identities, Some(first.id()), "of a".into());
        input.deliver(&one.identities, None, "nobody's".into());
        assert_eq!(answer(&first).as_deref(), Some("of a"));
        assert_eq!(answer(&third).as_deref(), Some("of b"));
        let first_id = first.id().to_owned();
        drop(first);
        assert!(is_sent(&second));
        input.deliver(&one.identities, Some(first_id.as_str()), "late".into());
        input.deliver(&one.identities, None, "the second".into());
        assert_eq!(answer(&second).as_deref(), Some("the second"));
    }

    #[test]
    fn a_question_goes_with_its_request() {
        let input = Input::default();
        let (left, next) = (request(b"a", "1"), request(b"a", "2"));
        input.allow(&left);
        let asking = input.ask(&left).unwrap();
        assert!(is_sent(&asking) && input.who_may_ask("1").is_some());
        input.end(&left);
        assert!(matches!(asking.wait(), Turn::Ended));
        assert!(input.who_may_ask("1").is_none());
        drop(asking);
        // What the user answers to it now is no answer to the next one.
        input.deliver(&left.identities, None, "late".into());
        input.allow(&next);
        assert!(is_sent(&input.ask(&next).unwrap()));
    }
}
