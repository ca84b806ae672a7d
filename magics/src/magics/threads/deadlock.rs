//! T007: threads that wait for each other without an end.

use diaphane_report::{Diagnosis, Severity};
use diaphane_sight::threads::Thread;
use pyo3::prelude::*;

use crate::stacks::cell_source::locked_line;
use crate::stacks::merged::{FrameKind, MergedStack};
use crate::stacks::snapshot::{ProcessSnapshot, ThreadKind, ThreadNames};
use crate::stacks::told::{is_cells, place, users, wait};
use crate::stacks::waits::WaitsFor;
use diaphane_cpython::frames::Functions;

/// What is asked about the threads.
pub(super) struct Suspects<'a> {
    pub snapshot: &'a ProcessSnapshot,
    pub names: &'a ThreadNames,
    pub stack_of: &'a dyn Fn(i32) -> Option<MergedStack>,
    pub kind_of: &'a dyn Fn(&Thread) -> ThreadKind,
    /// Whether Python may be asked for the text of cells.
    pub with_python: bool,
}

/// A thread that waits for a lock without a limit of time.
struct Waiter {
    name: String,
    place: String,
    text: String,
    takes: Option<String>,
    holds: Vec<String>,
}

impl Suspects<'_> {
    /// The main thread waits for a lock without an end, and nobody is there who could release it.
    pub(super) fn deadlock(&self) -> Option<Diagnosis> {
        let snapshot = self.snapshot;
        let asked_by_main = snapshot.asks == std::process::id().cast_signed();
        // Before stacks are taken it is looked whether there is anything to suspect.
        let main = snapshot
            .threads
            .iter()
            .find(|thread| u32::try_from(thread.tid) == Ok(std::process::id()))?;
        if asked_by_main || !self.waits(main) {
            return None;
        }
        let waiters: Vec<Waiter> = self
            .candidates()
            .filter_map(|thread| self.waiter(thread))
            .collect();
        if let Some((one, other)) = circle(&waiters) {
            return Some(circular(&waiters, one, other));
        }
        let others = self.candidates();
        let all_wait = others
            .into_iter()
            .all(|thread| self.waits(thread) || thread.tid == main.tid);
        all_wait.then(|| self.perhaps(&waiters)).flatten()
    }

    fn waits(&self, thread: &Thread) -> bool {
        self.snapshot.waits_without_end(thread)
    }

    /// The kernel's threads and the thread that asks wake nobody who waits for a lock of the user's.
    fn candidates(&self) -> impl Iterator<Item = &Thread> {
        self.snapshot.threads.iter().filter(|thread| {
            thread.tid != self.snapshot.asks
                && (self.kind_of)(thread) != ThreadKind::Kernel
                && !saves_history(self.snapshot, thread)
        })
    }

    fn waiter(&self, thread: &Thread) -> Option<Waiter> {
        if !self.waits(thread) {
            return None;
        }
        let stack = (self.stack_of)(thread.tid)?;
        let calls = &stack.calls;
        wait(calls).filter(|wait| wait.on == WaitsFor::Lock)?;
        let own = calls.iter().find(|call| is_cells(call));
        let line = own.or_else(|| calls.iter().find(|call| call.kind == FrameKind::Python))?;
        let mut waiter = Waiter {
            name: match u32::try_from(thread.tid) == Ok(std::process::id()) {
                true => "the main thread".to_owned(),
                false => format!(
                    "thread {}",
                    self.names.get(&thread.tid).unwrap_or(&thread.comm)
                ),
            },
            place: place(line)?,
            text: String::new(),
            takes: None,
            holds: Vec::new(),
        };
        if self.with_python {
            let lines = calls
                .iter()
                .filter(|call| call.kind == FrameKind::Python && is_cells(call));
            Python::attach(|py| {
                for (depth, call) in lines.enumerate() {
                    let found = call.file.as_deref().zip(call.line);
                    let Some(found) = found.and_then(|(file, line)| locked_line(py, file, line))
                    else {
                        continue;
                    };
                    if depth == 0 {
                        (waiter.text, waiter.takes) = (found.text, found.takes);
                    }
                    waiter.holds.extend(found.holds);
                }
            });
        }
        Some(waiter)
    }

    fn perhaps(&self, waiters: &[Waiter]) -> Option<Diagnosis> {
        let main = (self.stack_of)(std::process::id().cast_signed())?;
        let at = match waiters
            .iter()
            .find(|waiter| waiter.name == "the main thread")
        {
            Some(main) => main.place.clone(),
            None => {
                let call = main.calls.iter().find(|call| !call.plumbing)?;
                format!(
                    "{} of {}",
                    call.function.as_deref().unwrap_or("a function"),
                    call.library.as_deref().unwrap_or("no library")
                )
            }
        };
        let mut evidence: Vec<String> = waiters.iter().map(Waiter::line).collect();
        let own = users(&main.calls).iter().filter(|call| !call.plumbing);
        evidence.extend(
            own.take(12)
                .map(|call| place(call).unwrap_or_else(|| call.line())),
        );
        Some(Diagnosis {
            code: "T007",
            severity: Severity::Warn,
            title: format!("Perhaps a deadlock: the main thread waits for a lock in {at}, and every other thread waits too."),
            evidence,
            fix: "Interrupt it: a lock of Python's lets it go; in native code only a restart does. The evidence names the \
                  threads that wait, and where."
                .into(),
        })
    }
}

impl Waiter {
    fn line(&self) -> String {
        let text = if self.text.is_empty() {
            String::new()
        } else {
            format!(": {}", self.text)
        };
        format!("{} waits at {}{text}", self.name, self.place)
    }
}

/// Two threads of which each waits for what the other has taken, by the names in their text.
fn circle(waiters: &[Waiter]) -> Option<(usize, usize)> {
    let waits_for = |one: &Waiter, other: &Waiter| {
        one.takes
            .as_ref()
            .is_some_and(|lock| other.holds.contains(lock))
    };
    let pairs =
        (0..waiters.len()).flat_map(|one| (one + 1..waiters.len()).map(move |other| (one, other)));
    let mut pairs = pairs;
    pairs.find(|(one, other)| {
        waits_for(&waiters[*one], &waiters[*other]) && waits_for(&waiters[*other], &waiters[*one])
    })
}

fn circular(waiters: &[Waiter], one: usize, other: usize) -> Diagnosis {
    let (one, other) = (&waiters[one], &waiters[other]);
    let says = |waiter: &Waiter, holder: &Waiter| {
        format!(
            "{} waits at {} for {}, which {} has taken",
            waiter.name,
            waiter.place,
            waiter.takes.as_deref().unwrap_or("a lock"),
            holder.name
        )
    };
    let taken = |waiter: &Waiter| format!("{} has taken {}", waiter.name, waiter.holds.join(", "));
    Diagnosis {
        code: "T007",
        severity: Severity::Warn,
        title: format!("A deadlock: {}, and {}.", says(one, other), says(other, one)),
        evidence: vec![one.line(), taken(one), other.line(), taken(other)],
        fix: "Take the two locks in the same order everywhere, or both at once by a third one; an interrupt ends the wait \
              of the main thread."
            .into(),
    }
}

/// Whether a thread is the one by which IPython writes its history.
fn saves_history(snapshot: &ProcessSnapshot, thread: &Thread) -> bool {
    let frames = snapshot.interpreter.frames(thread.tid);
    let functions = Functions::default().of(&frames).unwrap_or_default();
    functions
        .iter()
        .any(|function| function.function == "HistorySavingThread.run")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiter(name: &str, takes: &str, holds: &str) -> Waiter {
        Waiter {
            name: name.into(),
            place: "In[1]:2".into(),
            text: String::new(),
            takes: Some(takes.into()),
            holds: vec![holds.into()],
        }
    }

    #[test]
    fn a_circle_needs_both_directions() {
        let both = [
            waiter("x", "a", "c"),
            waiter("y", "b", "a"),
            waiter("z", "a", "b"),
        ];
        assert_eq!(circle(&both), Some((1, 2)));
        assert_eq!(circle(&both[..2]), None);
        let said = circular(&both, 1, 2).title;
        assert_eq!(
            said,
            "A deadlock: y waits at In[1]:2 for b, which z has taken, and z waits at In[1]:2 for a, which y has taken."
        );
    }
}
