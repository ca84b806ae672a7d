//! The life of a view: keys, signals and answers come in one row, change the model, and the model is drawn.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::Builder;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{SigSet, Signal, killpg};
use nix::unistd::getpgrp;
use ratatui::crossterm::event::{
    self, Event as TerminalEvent, KeyCode, KeyEvent, KeyEventKind, KeyModifiers,
};

use super::draw;
use super::model::{Model, Wish};
use super::screen::Screen;
use super::target::Target;
use super::watcher::{self, Interrupted, News};

/// What would end or stop the program with the terminal taken.
const SIGNALS: [Signal; 6] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGTSTP,
    Signal::SIGCONT,
];

/// What comes in.
pub enum Incoming {
    Key(KeyEvent),
    Resized,
    Signal(Signal),
    News(News),
    /// Nobody can press a key any more.
    NoKeys(io::Error),
}

/// A terminal that is taken, and what comes in there.
pub struct Session {
    pub screen: Screen,
    incoming: Receiver<Incoming>,
    sender: Sender<Incoming>,
}

impl Session {
    pub fn begin() -> Result<Self> {
        // In this thread and in those that it starts, so that one of them takes them all.
        SigSet::from_iter(SIGNALS).thread_block()?;
        let (sender, incoming) = channel();
        let screen = Screen::enter().context("the terminal cannot be used")?;
        let signals = sender.clone();
        Builder::new()
            .name("diaphane-signal".into())
            .spawn(move || {
                let all = SigSet::from_iter(SIGNALS);
                while let Ok(signal) = all.wait() {
                    if signals.send(Incoming::Signal(signal)).is_err() {
                        return;
                    }
                }
            })?;
        let keys = sender.clone();
        Builder::new()
            .name("diaphane-keys".into())
            .spawn(move || read_keys(&keys))?;
        Ok(Self {
            screen,
            incoming,
            sender,
        })
    }

    /// What comes in next, with what a program does about signals done already; nothing where nothing came in that time.
    pub fn next(&mut self, timeout: Duration) -> Result<Option<Incoming>> {
        let incoming = match self.incoming.recv_timeout(timeout) {
            Ok(incoming) => incoming,
            Err(RecvTimeoutError::Timeout) => return Ok(None),
            Err(RecvTimeoutError::Disconnected) => bail!("nothing can come in any more"),
        };
        match incoming {
            Incoming::Signal(Signal::SIGTSTP) => self.screen.suspend()?,
            Incoming::Signal(Signal::SIGCONT) => self.screen.take_again()?,
            Incoming::Signal(Signal::SIGINT) => {
                let key = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
                return Ok(Some(Incoming::Key(key)));
            }
            Incoming::Signal(signal) => self.screen.end_by(signal)?,
            Incoming::NoKeys(error) => return Err(error).context("no key can be read"),
            other => return Ok(Some(other)),
        }
        Ok(Some(Incoming::Resized))
    }

    /// Shows it until the user has seen enough.
    pub fn watch(mut self, target: Target, interval: Duration) -> Result<()> {
        let mut model = Model::new(&target, interval);
        let mut interrupted = Interrupted::of(&target);
        let news = self.sender.clone();
        let tell = move |one| drop(news.send(Incoming::News(one)));
        let (questions, thread) = watcher::start(target, tell)?;
        let mut is_asked = false;
        let mut next_look = Instant::now();
        loop {
            if next_look <= Instant::now() && !is_asked && !model.is_paused {
                let question = model.question();
                is_asked = questions.send(question).is_ok();
                next_look = Instant::now() + model.interval;
            }
            self.screen.draw(|frame| draw::frame(&model, frame))?;
            let wait = next_look.saturating_duration_since(Instant::now());
            let wait = if is_asked || model.is_paused {
                Duration::from_secs(1)
            } else {
                wait
            };
            let Some(incoming) = self.next(wait)? else {
                if thread.is_finished() {
                    bail!("the thread that asks has ended by an error");
                }
                continue;
            };
            let wish = match incoming {
                Incoming::News(news) => {
                    is_asked &= matches!(news, News::Silent(_) | News::Told(_));
                    if let News::Restarted(kernel) = &news {
                        interrupted = Interrupted::Kernel(kernel.clone());
                    }
                    let is_new = matches!(news, News::Restarted(_));
                    model.take(news);
                    is_new.then_some(Wish::Look)
                }
                Incoming::Key(key) => model.press(key),
                Incoming::Resized | Incoming::Signal(_) | Incoming::NoKeys(_) => None,
            };
            match wish {
                Some(Wish::Quit) => return Ok(()),
                // To all who share the terminal, as the terminal itself would.
                Some(Wish::Suspend) => killpg(getpgrp(), Signal::SIGTSTP)?,
                Some(Wish::Redraw) => self.screen.take_again()?,
                Some(Wish::Look) => next_look = Instant::now(),
                Some(Wish::Interrupt) => self.interrupt(&interrupted)?,
                None => next_look = next_look.min(Instant::now() + model.interval),
            }
        }
    }

    /// Interrupts on a thread of its own, since the one that asks may wait.
    fn interrupt(&self, whom: &Interrupted) -> io::Result<()> {
        let (whom, sender) = (whom.clone(), self.sender.clone());
        let interrupt = move || drop(sender.send(Incoming::News(News::Told(whom.interrupt()))));
        Builder::new()
            .name("diaphane-intr".into())
            .spawn(interrupt)
            .map(drop)
    }
}

fn read_keys(keys: &Sender<Incoming>) {
    loop {
        let incoming = match event::read() {
            Ok(TerminalEvent::Key(key)) if key.kind != KeyEventKind::Release => Incoming::Key(key),
            Ok(TerminalEvent::Resize(..)) => Incoming::Resized,
            Ok(_) => continue,
            Err(error) => Incoming::NoKeys(error),
        };
        let is_end = matches!(incoming, Incoming::NoKeys(_));
        if keys.send(incoming).is_err() || is_end {
            return;
        }
    }
}
