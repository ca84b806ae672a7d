//! The thread that asks: one question at a time, so that the view never waits for an answer.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Result;
use diaphane_magics::ProcessMonitor;
use diaphane_wire::{Connection, Outgoing};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use super::source::{self, MonitorAnswer, Question};
use super::target::{KernelTarget, Target};
use crate::io::client::{self, Client};

/// After which silence a kernel is said not to answer. Its answer still counts when it comes.
const SILENCE: Duration = Duration::from_secs(3);
/// After which a question is taken for lost.
const LOST: Duration = Duration::from_secs(60);
/// How often it is looked whether the process is still there.
const PIECE: Duration = Duration::from_millis(200);

/// What the one who asks has to tell.
pub enum News {
    Seen(Box<MonitorAnswer>),
    /// The kernel does not answer; what is seen of it from outside.
    Silent(Option<Box<MonitorAnswer>>),
    /// It says why not.
    Refused(String),
    /// Another process took its place.
    Restarted(KernelTarget),
    /// The process has ended, or cannot be looked at any more.
    Gone(String),
    /// What came of an interrupt.
    Told(String),
}

/// Starts to answer questions.
pub fn start(
    target: Target,
    tell: impl Fn(News) + Send + 'static,
) -> std::io::Result<(Sender<Question>, JoinHandle<()>)> {
    let (questions, asked) = channel();
    let watch = move || match target {
        Target::Kernel(kernel) => Watcher { kernel, tell }.serve(&asked),
        Target::Process(process) => serve_process(*process, &asked, &tell),
    };
    let thread = Builder::new().name("diaphane-top".into()).spawn(watch)?;
    Ok((questions, thread))
}

fn serve_process(mut process: ProcessMonitor, asked: &Receiver<Question>, tell: &impl Fn(News)) {
    while let Ok(question) = asked.recv() {
        match source::look(&mut process, question) {
            Ok(answer) => tell(News::Seen(Box::new(answer))),
            Err(error) => tell(News::Gone(format!("{error:#}"))),
        }
    }
}

struct Watcher<Tell> {
    kernel: KernelTarget,
    tell: Tell,
}

impl<Tell: Fn(News)> Watcher<Tell> {
    fn serve(mut self, asked: &Receiver<Question>) {
        let mut client = None;
        while let Ok(question) = asked.recv() {
            if !self.kernel.is_there() {
                client = None;
                match self.kernel.restarted() {
                    Some(kernel) => {
                        self.kernel = kernel.clone();
                        (self.tell)(News::Restarted(kernel));
                    }
                    None => self.gone(),
                }
                continue;
            }
            let answered = loop {
                match self.ask(&mut client, question) {
                    // The question was lost.
                    Ok(None) if self.kernel.is_there() => client = None,
                    other => break other,
                }
            };
            match answered {
                Ok(Some(answer)) => (self.tell)(News::Seen(Box::new(answer))),
                // What is said of its end is said at the next question.
                Ok(None) => client = None,
                Err(error) => (self.tell)(News::Refused(format!("{error:#}"))),
            }
        }
    }

    fn gone(&self) {
        let sentence = format!("The kernel has ended (process {}).", self.kernel.pid);
        (self.tell)(News::Gone(sentence));
    }

    /// What the kernel answers; nothing where it ended, or the question was lost.
    fn ask(
        &self,
        client: &mut Option<Client>,
        question: Question,
    ) -> Result<Option<MonitorAnswer>> {
        let client = match client {
            Some(client) => client,
            None => client.insert(Client::connect(&Connection::read(&self.kernel.file)?)?),
        };
        client.ask(source::request(question, self.kernel.pid))?;
        let asked = Instant::now();
        let mut silent_until = SILENCE;
        let mut outside = None;
        while asked.elapsed() < LOST {
            if let Some(message) = client.answer(PIECE)? {
                return source::reply(&message, question, &self.kernel).map(Some);
            }
            if !self.kernel.is_there() {
                self.gone();
                return Ok(None);
            }
            if asked.elapsed() >= silent_until {
                silent_until = asked.elapsed() + Duration::from_secs(1);
                (self.tell)(News::Silent(self.look_from_outside(&mut outside, question)));
            }
        }
        Ok(None)
    }

    /// A kernel that is stopped or stuck can be seen all the same.
    fn look_from_outside(
        &self,
        outside: &mut Option<ProcessMonitor>,
        question: Question,
    ) -> Option<Box<MonitorAnswer>> {
        if outside.is_none() {
            *outside = ProcessMonitor::of(self.kernel.pid, false).ok();
        }
        let question = Question {
            stack: question.stack.or(Some(self.kernel.pid)),
            libraries: false,
            ..question
        };
        source::look(outside.as_mut()?, question).ok().map(Box::new)
    }
}

/// Whom an interrupt is for.
#[derive(Clone)]
pub enum Interrupted {
    Kernel(KernelTarget),
    Process(i32),
}

impl Interrupted {
    pub fn of(target: &Target) -> Self {
        match target {
            Target::Kernel(kernel) => Self::Kernel(kernel.clone()),
            Target::Process(process) => Self::Process(process.pid()),
        }
    }

    /// Interrupts, and says what came of it.
    pub fn interrupt(&self) -> String {
        match self {
            Self::Kernel(kernel) => {
                let ask = || {
                    let connection = Connection::read(&kernel.file)?;
                    let request = Outgoing::new("interrupt_request", &json!({}));
                    client::request(&connection, request, SILENCE)
                };
                match ask() {
                    Ok(_) => "The kernel was interrupted.".to_owned(),
                    Err(error) => format!("The interrupt was not taken: {error:#}"),
                }
            }
            Self::Process(pid) => match kill(Pid::from_raw(*pid), Signal::SIGINT) {
                Ok(()) => format!("SIGINT was sent to process {pid}."),
                Err(error) => format!("SIGINT could not be sent to process {pid}: {error}"),
            },
        }
    }
}
