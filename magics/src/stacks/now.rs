//! The stacks of this moment, taken by a thread of their own, so that the thread that asks is seen too.

use std::time::Duration;

use diaphane_sight::proc::spans;
use diaphane_sight::threads::{Thread, is_own_thread};
use serde_json::{Value, json};

use crate::error::Error;
use crate::stacks::merged::{MergedStack, StackOptions, stacks_of};
use crate::stacks::snapshot::{Gil, ProcessSnapshot, ThreadNames};
use diaphane_report::view;

/// One thread and what it runs.
#[derive(Default)]
pub(crate) struct ThreadNow {
    pub tid: i32,
    pub name: String,
    pub state: char,
    pub is_main: bool,
    /// What it has to do with the GIL, if that is known.
    pub gil: Option<Gil>,
    /// Whether it would have the GIL, were it not for this question.
    pub gives_way: bool,
    /// Whether it waits for another thread, for as long as that takes.
    pub is_stuck: bool,
    /// How long it was stopped for its stack, if it was.
    pub stopped: Option<Duration>,
    /// How many threads of the library whose code it runs run beside it.
    pub beside: usize,
    /// The thread that has the lock for which it waits, where that is known.
    pub lock_owner: Option<String>,
    pub(crate) merged: MergedStack,
}

/// Takes the stacks of all threads, or of the main one and of the GIL's holder; `names` are those that Python gave.
pub(crate) fn threads_now(
    names: &ThreadNames,
    gil: bool,
    all: bool,
) -> Result<Vec<ThreadNow>, Error> {
    let asks = nix::unistd::gettid().as_raw();
    let take = || {
        let snapshot = ProcessSnapshot::look()?;
        let holder = snapshot.interpreter.holder;
        take(&snapshot, names, gil, |thread| {
            all || is_main(thread) || holder == Some(thread.tid)
        })
    };
    let taken = std::thread::scope(|scope| scope.spawn(take).join());
    let mut now = taken.unwrap_or_else(|_| Err(Error::Panic("stack".into(), String::new())))?;
    // Who asks would run, if it did not wait for this answer.
    for thread in now.iter_mut().filter(|thread| thread.tid == asks) {
        thread.state = 'R';
    }
    Ok(now)
}

/// Takes the stacks of the threads that are wanted; the others have none. Of the calling thread there is nothing.
pub(crate) fn take(
    snapshot: &ProcessSnapshot,
    names: &ThreadNames,
    gil: bool,
    is_wanted: impl Fn(&Thread) -> bool,
) -> Result<Vec<ThreadNow>, Error> {
    let wanted = StackOptions { locals: false, gil };
    let mut all = stacks_of(snapshot, wanted, is_wanted);
    let title = |thread: &Thread| title(thread.tid, snapshot.plain_name(thread, names));
    let others = snapshot
        .threads
        .iter()
        .filter(|thread| thread.tid != snapshot.asks);
    let now = others.map(|thread| {
        let merged = all.remove(&thread.tid).unwrap_or_default();
        ThreadNow {
            tid: thread.tid,
            name: snapshot.plain_name(thread, names).to_owned(),
            state: thread.state,
            is_main: is_main(thread),
            gil: snapshot.gil(thread),
            gives_way: gives_way(snapshot, thread),
            is_stuck: snapshot.waits_without_end(thread),
            stopped: None,
            beside: beside(snapshot, thread, &merged),
            lock_owner: lock_owner(snapshot, thread, &merged).map(title),
            merged,
        }
    });
    Ok(now.collect())
}

/// Whether it waits for the GIL only because a thread of ours has it, which will give it back when it has answered.
fn gives_way(snapshot: &ProcessSnapshot, thread: &Thread) -> bool {
    snapshot.gil(thread) == Some(Gil::Waiting)
        && snapshot.interpreter.holder.is_some_and(is_own_thread)
}

/// How many of a library's own threads run, where a thread runs its code.
fn beside(snapshot: &ProcessSnapshot, thread: &Thread, stack: &MergedStack) -> usize {
    let library = stack.top_frame().and_then(|call| call.index);
    let is_its = |one: &&Thread| {
        let owner = one.owner.as_ref().map(|owner| owner.library);
        one.state == 'R' && one.tid != thread.tid && owner.is_some() && owner == library
    };
    snapshot.threads.iter().filter(is_its).count()
}

/// Who has the mutex of the C library's for which a thread waits.
fn lock_owner<'a>(
    snapshot: &'a ProcessSnapshot,
    thread: &Thread,
    stack: &MergedStack,
) -> Option<&'a Thread> {
    /// Where a `pthread_mutex_t` has the thread that took it, behind two numbers of its own.
    const OWNER: usize = 8;
    let inner = stack.calls.iter().take_while(|call| call.plumbing);
    let mut names = inner.filter_map(|call| call.function.as_deref());
    names.find(|name| {
        name.trim_start_matches('_')
            .starts_with("pthread_mutex_lock")
    })?;
    let call = thread
        .call
        .as_ref()
        .filter(|call| call.name == Some("futex"))?;
    let owner = spans::bytes(call.first.checked_add(OWNER)?, size_of::<i32>());
    let owner = i32::from_ne_bytes(owner.try_into().ok()?);
    let mut threads = snapshot.threads.iter();
    threads.find(|one| one.tid == owner && owner != thread.tid)
}

fn is_main(thread: &Thread) -> bool {
    u32::try_from(thread.tid) == Ok(std::process::id())
}

fn title(tid: i32, name: &str) -> String {
    format!("thread {tid} {name}")
}

impl ThreadNow {
    /// What it is called in a sentence.
    pub(crate) fn title(&self) -> String {
        title(self.tid, &self.name)
    }

    /// The lines of the thread for people; all native functions, or those that say something.
    pub(crate) fn lines(&self, everything: bool) -> Vec<String> {
        let gil = match self.gil {
            Some(Gil::Holder) => ", has the GIL",
            Some(Gil::Waiting) => ", waits for the GIL",
            Some(Gil::None) | None => "",
        };
        let stopped = self.stopped.map_or_else(String::new, |time| {
            format!(", was stopped for {}", view::time(time.as_nanos() as f64))
        });
        let mut lines = vec![format!(
            "thread {} {} ({}){gil}{stopped}",
            self.tid, self.name, self.state
        )];
        lines.extend(self.merged.listing(usize::MAX, everything));
        lines
    }

    /// One row for each function, the innermost first.
    pub(crate) fn rows(&self) -> Vec<Value> {
        let calls = self.merged.calls.iter().enumerate();
        let stopped = self.stopped.map(|time| time.as_nanos() as u64);
        let row = |(depth, call): (usize, &crate::stacks::merged::StackFrame)| {
            json!({"tid": self.tid, "thread": self.name, "state": self.state.to_string(), "depth": depth,
                "kind": call.kind, "function": call.function, "library": call.library, "file": call.file,
                "line": call.line, "offset": call.offset, "found": call.found, "gil": self.gil,
                "stopped_ns": stopped})
        };
        calls.map(row).collect()
    }
}
