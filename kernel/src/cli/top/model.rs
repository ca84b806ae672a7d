//! What the view knows and how it stands: changed by keys and answers, and by nothing else.

use std::time::Duration;

use diaphane_wire::monitor::{StackCall, ThreadOwner};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::snapshot::{LiveSnapshot, LiveThread, telling};
use super::source::{LibraryRow, MonitorAnswer, Question};
use super::target::Target;
use super::watcher::News;

/// From when on a cell is worth a stack.
const LONG: f64 = 1.0;

/// The steps from look to look.
const INTERVALS: [f64; 9] = [0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0];

/// What is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Screenful {
    Overview,
    Threads,
    Stack,
    Libraries,
    Help,
}

/// How it stands with who is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    Waiting,
    Live,
    /// It does not answer; whether it is seen from outside meanwhile.
    Silent(bool),
    Refused(String),
    Gone(String),
}

/// What a key asks for beyond the view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    Quit,
    Suspend,
    Interrupt,
    Redraw,
    /// To look at once.
    Look,
}

pub struct Model {
    pub title: String,
    pub is_kernel: bool,
    /// Its main thread.
    pub main: i32,
    pub standing: Standing,
    pub now: Option<LiveSnapshot>,
    pub shown: Screenful,
    pub selected: i32,
    /// How many lines of a page are above the screen.
    pub scrolled: usize,
    pub interval: Duration,
    pub is_paused: bool,
    /// A question to the user.
    pub prompt: Option<String>,
    /// What is said once.
    pub notice: Option<String>,
    pub stack: Option<(i32, Result<Vec<StackCall>, String>)>,
    pub libraries: Option<Result<Vec<LibraryRow>, String>>,
    had_stack: bool,
}

impl Model {
    pub fn new(target: &Target, interval: Duration) -> Self {
        Self::titled(
            target.title(),
            matches!(target, Target::Kernel(_)),
            target.pid(),
            interval,
        )
    }

    pub fn titled(title: String, is_kernel: bool, main: i32, interval: Duration) -> Self {
        Self {
            title,
            is_kernel,
            main,
            standing: Standing::Waiting,
            now: None,
            shown: Screenful::Overview,
            selected: main,
            scrolled: 0,
            interval,
            is_paused: false,
            prompt: None,
            notice: None,
            stack: None,
            libraries: None,
            had_stack: false,
        }
    }

    /// What is to be asked next. The main thread's stack costs more than the rest, and is asked for every other time.
    pub fn question(&mut self) -> Question {
        let cell = self.now.as_ref().and_then(LiveSnapshot::cell);
        let is_long = !self.is_kernel || cell.is_some_and(|(_, seconds)| seconds >= LONG);
        let stack = is_long && !self.had_stack;
        self.had_stack = stack;
        let epoch = self.now.as_ref().map(|now| now.moment.epoch);
        Question {
            epoch,
            stack: match self.shown {
                Screenful::Stack => Some(self.selected),
                _ => stack.then_some(self.main),
            },
            libraries: self.shown == Screenful::Libraries && self.libraries.is_none(),
        }
    }

    pub fn take(&mut self, news: News) {
        match news {
            News::Seen(answer) => {
                self.standing = Standing::Live;
                self.learn(*answer, false);
            }
            News::Silent(seen) => {
                self.standing = Standing::Silent(seen.is_some());
                if let Some(answer) = seen {
                    self.learn(*answer, true);
                }
            }
            News::Refused(why) => self.standing = Standing::Refused(why),
            News::Gone(how) => {
                self.standing = Standing::Gone(how);
                self.prompt = None;
            }
            News::Restarted(kernel) => {
                let process = kernel.pid;
                self.main = process;
                self.title = Target::Kernel(kernel).title();
                self.selected = process;
                self.now = None;
                self.stack = None;
                self.libraries = None;
                self.standing = Standing::Waiting;
                self.notice = Some(format!(
                    "The kernel was started anew: it is process {process} now."
                ));
            }
            News::Told(what) => self.notice = Some(what),
        }
    }

    fn learn(&mut self, answer: MonitorAnswer, from_outside: bool) {
        let before = self.now.take();
        if let Some((tid, stack)) = answer.stack {
            self.stack = Some((tid, stack.map(telling)));
        }
        if answer.libraries.is_some() {
            self.libraries = answer.libraries;
        }
        let now = LiveSnapshot::after(before, answer.moment, from_outside);
        let tids: Vec<i32> = now.threads.iter().map(|thread| thread.tid).collect();
        if !tids.contains(&self.selected) && self.shown != Screenful::Stack {
            self.selected = self.main;
        }
        self.now = Some(now);
    }

    /// A key was pressed.
    pub fn press(&mut self, key: KeyEvent) -> Option<Wish> {
        self.notice = None;
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return match key.code {
                KeyCode::Char('c') => Some(Wish::Quit),
                KeyCode::Char('z') => Some(Wish::Suspend),
                KeyCode::Char('l') => Some(Wish::Redraw),
                _ => None,
            };
        }
        if self.prompt.take().is_some() {
            return matches!(key.code, KeyCode::Char('y' | 'Y')).then_some(Wish::Interrupt);
        }
        match key.code {
            KeyCode::Char('q') => return Some(Wish::Quit),
            KeyCode::Esc if self.shown == Screenful::Overview => return Some(Wish::Quit),
            KeyCode::Esc => return self.show(Screenful::Overview),
            KeyCode::Char('s') | KeyCode::Enter => return self.toggle(Screenful::Stack),
            KeyCode::Char('t') => return self.toggle(Screenful::Threads),
            KeyCode::Char('l') => {
                self.libraries = None;
                return self.toggle(Screenful::Libraries);
            }
            KeyCode::Char('?' | 'h') => return self.toggle(Screenful::Help),
            KeyCode::Char('i') => self.ask_to_interrupt(),
            KeyCode::Char('p' | ' ') => {
                self.is_paused = !self.is_paused;
                return (!self.is_paused).then_some(Wish::Look);
            }
            KeyCode::Char('+') => self.step_interval(1),
            KeyCode::Char('-') => self.step_interval(-1),
            KeyCode::Up | KeyCode::Char('k') => self.step(-1),
            KeyCode::Down | KeyCode::Char('j') => self.step(1),
            KeyCode::PageUp => self.step(-10),
            KeyCode::PageDown => self.step(10),
            KeyCode::Home => self.step(-10_000),
            KeyCode::End => self.step(10_000),
            _ => {}
        }
        None
    }

    fn toggle(&mut self, screenful: Screenful) -> Option<Wish> {
        match self.shown == screenful {
            true => self.show(Screenful::Overview),
            false => self.show(screenful),
        }
    }

    fn show(&mut self, screenful: Screenful) -> Option<Wish> {
        self.shown = screenful;
        self.scrolled = 0;
        let is_asked = matches!(screenful, Screenful::Stack | Screenful::Libraries);
        (is_asked && !self.is_paused).then_some(Wish::Look)
    }

    fn ask_to_interrupt(&mut self) {
        if matches!(self.standing, Standing::Gone(_)) {
            self.notice = Some("There is nothing to interrupt any more.".to_owned());
            return;
        }
        let cell = self.now.as_ref().and_then(LiveSnapshot::cell);
        self.prompt = match (self.is_kernel, cell) {
            (false, _) => Some(format!("send SIGINT to process {}? y/n", self.main)),
            (true, Some((cell, _))) => Some(match cell.count {
                Some(count) => format!("interrupt cell In[{count}]? y/n"),
                None => "interrupt the cell that runs? y/n".to_owned(),
            }),
            (true, None) => {
                self.notice = Some("No cell runs, so there is nothing to interrupt.".to_owned());
                None
            }
        };
    }

    fn step_interval(&mut self, by: isize) {
        let seconds = self.interval.as_secs_f64();
        let near = |step: &f64| *step >= seconds - 0.01;
        let at = INTERVALS
            .iter()
            .position(near)
            .unwrap_or(INTERVALS.len() - 1);
        let at = at.saturating_add_signed(by).min(INTERVALS.len() - 1);
        self.interval = Duration::from_secs_f64(INTERVALS[at]);
    }

    /// Selects another thread, or moves a page.
    fn step(&mut self, by: isize) {
        if !matches!(self.shown, Screenful::Overview | Screenful::Threads) {
            // Where the page ends is known when it is drawn.
            self.scrolled = self.scrolled.saturating_add_signed(by);
            return;
        }
        let tids = self.selectable();
        let at = tids
            .iter()
            .position(|tid| *tid == self.selected)
            .unwrap_or(0);
        let at = at
            .saturating_add_signed(by)
            .min(tids.len().saturating_sub(1));
        self.selected = tids.get(at).copied().unwrap_or(self.main);
    }

    /// The threads that can be selected, in their order.
    fn selectable(&self) -> Vec<i32> {
        let Some(now) = &self.now else {
            return Vec::new();
        };
        match self.shown {
            Screenful::Threads => now.threads.iter().map(|thread| thread.tid).collect(),
            _ => now
                .groups()
                .iter()
                .map(|group| group.threads[0].tid)
                .collect(),
        }
    }

    /// The thread that is selected.
    pub fn thread(&self) -> Option<&LiveThread> {
        let mut threads = self.now.as_ref()?.threads.iter();
        threads.find(|thread| thread.tid == self.selected)
    }

    /// The stack of the selected thread, as far as it has been asked for.
    pub fn selected_stack(&self) -> Option<Result<&[StackCall], &str>> {
        let is_main = self
            .thread()
            .is_some_and(|thread| thread.kind == ThreadOwner::Main);
        if is_main || self.selected == self.main {
            let stack = self.now.as_ref().map(|now| now.stack.as_slice());
            return stack.filter(|stack| !stack.is_empty()).map(Ok);
        }
        let (_, stack) = self
            .stack
            .as_ref()
            .filter(|(tid, _)| *tid == self.selected)?;
        Some(stack.as_deref().map_err(String::as_str))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> Model {
        Model::titled("a.ipynb".into(), true, 7, Duration::from_secs(1))
    }

    fn press(model: &mut Model, code: KeyCode) -> Option<Wish> {
        model.press(KeyEvent::new(code, KeyModifiers::NONE))
    }

    #[test]
    fn nothing_is_interrupted_without_a_yes() {
        let mut model = Model::titled("p".into(), false, 7, Duration::from_secs(1));
        press(&mut model, KeyCode::Char('i'));
        assert_eq!(
            model.prompt.as_deref(),
            Some("send SIGINT to process 7? y/n")
        );
        assert_eq!(press(&mut model, KeyCode::Char('q')), None);
        assert_eq!(model.prompt, None);
        press(&mut model, KeyCode::Char('i'));
        assert_eq!(press(&mut model, KeyCode::Char('y')), Some(Wish::Interrupt));
    }

    #[test]
    fn escape_leads_back_and_then_out() {
        let mut model = model();
        assert_eq!(press(&mut model, KeyCode::Char('s')), Some(Wish::Look));
        assert_eq!(model.question().stack, Some(7));
        assert_eq!(press(&mut model, KeyCode::Esc), None);
        assert_eq!(press(&mut model, KeyCode::Esc), Some(Wish::Quit));
    }

    #[test]
    fn the_interval_stays_in_its_bounds() {
        let mut model = model();
        for _ in 0..20 {
            press(&mut model, KeyCode::Char('+'));
        }
        assert_eq!(model.interval, Duration::from_secs(60));
        for _ in 0..20 {
            press(&mut model, KeyCode::Char('-'));
        }
        assert_eq!(model.interval, Duration::from_millis(200));
    }

    #[test]
    fn a_kernel_that_ended_is_told_of_and_may_come_back() {
        let mut model = model();
        model.take(News::Gone("The kernel has ended.".into()));
        press(&mut model, KeyCode::Char('i'));
        assert_eq!(model.prompt, None);
        assert!(model.notice.is_some());
    }
}
