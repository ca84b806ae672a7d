//! The terminal: taken for the view, and given back as it was however the program ends.

use std::io::{self, Stdout, Write as _};
use std::panic;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::{SigSet, Signal, raise};
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::{Frame, Terminal};

/// Whether the terminal is taken.
static TAKEN: AtomicBool = AtomicBool::new(false);

pub struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
}

impl Screen {
    /// Takes the terminal.
    pub fn enter() -> io::Result<Self> {
        give_back_before_a_panic_speaks();
        let terminal = Terminal::new(CrosstermBackend::new(io::stdout()))?;
        take()?;
        Ok(Self { terminal })
    }

    pub fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.terminal.draw(draw).map(drop)
    }

    /// Draws everything anew with the next frame, on a terminal that others may have used.
    pub fn take_again(&mut self) -> io::Result<()> {
        give_back();
        self.take_and_clear()
    }

    /// Stops the process as Ctrl-Z does, with the terminal as it was; returns when it goes on.
    pub fn suspend(&mut self) -> io::Result<()> {
        give_back();
        obey(Signal::SIGTSTP)?;
        self.take_and_clear()
    }

    fn take_and_clear(&mut self) -> io::Result<()> {
        take()?;
        // `clear` would ask the terminal where its cursor is, and the answer comes to who reads the keys.
        let size = self.terminal.size()?;
        self.terminal.resize(size.into())
    }

    /// Ends the process by a signal, with the terminal as it was.
    pub fn end_by(&mut self, signal: Signal) -> io::Result<()> {
        give_back();
        obey(signal)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// Has a signal do what it does to a program that knows nothing of it. It is blocked otherwise.
fn obey(signal: Signal) -> io::Result<()> {
    let set = SigSet::from_iter([signal]);
    raise(signal)?;
    // It comes here.
    set.thread_unblock()?;
    set.thread_block()?;
    Ok(())
}

fn take() -> io::Result<()> {
    enable_raw_mode()?;
    TAKEN.store(true, Ordering::Release);
    execute!(io::stdout(), EnterAlternateScreen, Hide)
}

/// Gives the terminal back, once.
fn give_back() {
    if TAKEN.swap(false, Ordering::AcqRel) {
        // A terminal that is gone needs nothing.
        let _gone = execute!(io::stdout(), LeaveAlternateScreen, Show);
        let _gone = io::stdout().flush();
        let _gone = disable_raw_mode();
    }
}

/// What a panic says would be lost with the view.
fn give_back_before_a_panic_speaks() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            give_back();
            before(info);
        }));
    });
}
