//! The words and places of panics: of the thread that runs a cell, and of other threads whose panic is thrown again there,
//! as `join` with `resume_unwind` and rayon do.

use std::any::{Any, TypeId};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::panic::{self, PanicHookInfo};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::thread;

/// No more panics are remembered than these, the latest ones.
const MOST: usize = 256;

/// A panic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenPanic {
    thrown: Thrown,
    pub words: String,
    /// The line in the source of the cell, or 0.
    pub line: u32,
}

/// What was thrown. A text stays where it is on its way, and only its owner moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Thrown {
    Text(*const u8, usize),
    Value(TypeId),
}

// SAFETY: the pointer is compared and never followed.
unsafe impl Send for SeenPanic {}

/// How many cells of this library run.
static RUNNING: AtomicUsize = AtomicUsize::new(0);
/// The panics of all threads while they do.
static SEEN: Mutex<VecDeque<SeenPanic>> = Mutex::new(VecDeque::new());

thread_local! {
    /// Whether this thread runs a cell of this library.
    static RUNS: Cell<bool> = const { Cell::new(false) };
    /// The last panic of such a thread.
    static LAST: RefCell<Option<SeenPanic>> = const { RefCell::new(None) };
}

/// A cell that listens for panics, until this is dropped.
pub struct Listening {
    outer: bool,
}

impl Listening {
    pub fn begin() -> Self {
        listen();
        if RUNNING.fetch_add(1, Ordering::AcqRel) == 0 {
            seen().clear();
        }
        Self {
            outer: RUNS.replace(true),
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        RUNS.set(self.outer);
        RUNNING.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The thread runs no cell any more: a fault ended it, and nothing was dropped.
pub fn forget_run() {
    if RUNS.replace(false) {
        RUNNING.fetch_sub(1, Ordering::AcqRel);
    }
    drop(LAST.take());
}

/// The panic that this thread is in.
pub fn current() -> Option<SeenPanic> {
    let last = || LAST.with(|last| last.try_borrow().ok()?.clone());
    thread::panicking().then(last)?
}

/// What is known of something that was caught. Where the same text was thrown at several places, none of them is sure.
pub fn about(caught: &(dyn Any + Send)) -> (String, u32) {
    let thrown = Thrown::of(caught);
    let words = text(caught).unwrap_or(NO_TEXT);
    let seen = seen();
    let mut alike = seen
        .iter()
        .rev()
        .filter(|one| one.thrown == thrown && one.words.starts_with(words));
    match alike.next() {
        Some(one) if alike.all(|other| other == one) => (one.words.clone(), one.line),
        _ => (words.to_owned(), 0),
    }
}

const NO_TEXT: &str = "a value that is no text";

impl SeenPanic {
    fn of(info: &PanicHookInfo<'_>) -> Self {
        let words = text(info.payload()).unwrap_or(NO_TEXT);
        // Only the cell's own file has lines that the kernel knows.
        let (words, line) = match info.location() {
            Some(at) if at.file() == "src/lib.rs" => (words.to_owned(), at.line()),
            Some(at) => (format!("{words} (at {at})"), 0),
            None => (words.to_owned(), 0),
        };
        Self {
            thrown: Thrown::of(info.payload()),
            words,
            line,
        }
    }

    /// With what the same thread said before, where the language itself could not go on from there.
    fn after(self, before: Option<Self>, info: &PanicHookInfo<'_>) -> Self {
        let of_core = |at: &panic::Location<'_>| at.file().ends_with("core/src/panicking.rs");
        match before {
            Some(before) if info.location().is_some_and(of_core) => Self {
                words: format!(
                    "{}; {}",
                    before.words,
                    text(info.payload()).unwrap_or(NO_TEXT)
                ),
                ..before
            },
            _ => self,
        }
    }
}

impl Thrown {
    fn of(value: &dyn Any) -> Self {
        match text(value) {
            Some(text) => Self::Text(text.as_ptr(), text.len()),
            None => Self::Value(value.type_id()),
        }
    }
}

fn text(value: &dyn Any) -> Option<&str> {
    let literal = value.downcast_ref::<&'static str>().copied();
    literal.or_else(|| value.downcast_ref::<String>().map(String::as_str))
}

fn seen() -> MutexGuard<'static, VecDeque<SeenPanic>> {
    SEEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Remembers panics while a cell runs. Those of threads that run no cell are printed as ever.
fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if RUNNING.load(Ordering::Acquire) > 0 {
                remember(info);
            }
            if !RUNS.get() {
                before(info);
            }
        }));
    });
}

fn remember(info: &PanicHookInfo<'_>) {
    let mut panic = SeenPanic::of(info);
    if RUNS.get() {
        panic = panic.after(LAST.take(), info);
        LAST.set(Some(panic.clone()));
    }
    let mut seen = seen();
    if seen.len() == MOST {
        seen.pop_front();
    }
    seen.push_back(panic);
}
