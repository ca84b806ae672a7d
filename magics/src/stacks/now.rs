//! The stacks of this moment, taken by a thread of their own, so that the thread that asks is seen too.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::error::Error;
use crate::stacks::merged::{MergedStack, StackOptions, stacks};
use crate::stacks::snapshot::{Gil, ProcessSnapshot};
use diaphane_report::view;

/// One thread and what it runs.
pub(crate) struct ThreadNow {
    pub tid: i32,
    pub name: String,
    pub state: char,
    pub is_main: bool,
    /// What it has to do with the GIL, if that is known.
    pub gil: Option<Gil>,
    /// How long it was stopped for its stack, if it was.
    pub stopped: Option<Duration>,
    pub(crate) merged: MergedStack,
}

/// Takes the stacks of all threads; `names` are those that Python gave.
pub(crate) fn threads_now(
    names: &HashMap<i32, String>,
    gil: bool,
) -> Result<Vec<ThreadNow>, Error> {
    let asks = nix::unistd::gettid().as_raw();
    let taken = std::thread::scope(|scope| scope.spawn(|| take(names, gil, asks)).join());
    taken.unwrap_or_else(|_| Err(Error::Panic("stack".into(), String::new())))
}

fn take(names: &HashMap<i32, String>, gil: bool, asks: i32) -> Result<Vec<ThreadNow>, Error> {
    let snapshot = ProcessSnapshot::look()?;
    let wanted = StackOptions { locals: false, gil };
    let mut all = stacks(&snapshot, wanted);
    let others = snapshot
        .threads
        .iter()
        .filter(|thread| thread.tid != snapshot.asks);
    let now = others.map(|thread| ThreadNow {
        tid: thread.tid,
        name: names.get(&thread.tid).unwrap_or(&thread.comm).clone(),
        // Who asks would run, if it did not wait for this answer.
        state: if thread.tid == asks {
            'R'
        } else {
            thread.state
        },
        is_main: u32::try_from(thread.tid) == Ok(std::process::id()),
        gil: snapshot.gil(thread),
        stopped: None,
        merged: all.remove(&thread.tid).unwrap_or_default(),
    });
    Ok(now.collect())
}

impl ThreadNow {
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
