//! `%threads --children`: the threads of the processes that this one has started, as they are seen from outside.

use diaphane_sight::proc::processes::{Process, ProcessKind, family};
use serde_json::json;

use super::columns::CHILD_COLUMNS;
use super::{Magic as _, Threads};
use crate::error::Error;
use crate::stacks::merged::{FrameKind, StackFrame};
use crate::stacks::now::ThreadNow;
use crate::stacks::other_process::look;
use diaphane_report::{Merger, Report, rows};
use diaphane_sight::unwind::Manner;

/// One report of all children's threads; each child is a worker of it.
pub(super) fn report() -> Result<Report, Error> {
    let all = family();
    let children = all.iter().filter(|one| one.kind != ProcessKind::Own);
    let mut merger = Merger::default();
    let mut count = 0;
    for child in children {
        let report = threads_of(child);
        let name = format!("{} {}", child.pid, child.name);
        merger.add(&name, report.as_ref().map_err(String::as_str));
        count += 1;
    }
    match count {
        0 => Ok(Report {
            name: Threads::NAME,
            summary: vec!["this process has started none that still runs".into()],
            ..Report::default()
        }),
        _ => Ok(merger.finish()?),
    }
}

fn threads_of(child: &Process) -> Result<Report, String> {
    if child.kind == ProcessKind::Zombie {
        return Err("has ended".into());
    }
    // A child may be in the middle of a system call: nothing in it is stopped.
    let manner = Manner {
        may_stop: false,
        interrupted: None,
    };
    let found = look(child.pid, manner).map_err(|error| error.to_string())?;
    let found = found.ok_or("runs no Python")?;
    let rows = rows(found.threads.iter().map(row)).map_err(|error| error.to_string())?;
    Ok(Report {
        name: Threads::NAME,
        columns: CHILD_COLUMNS,
        rows,
        limits: found.limits,
        ..Report::default()
    })
}

fn row(thread: &ThreadNow) -> serde_json::Value {
    let mut calls = thread.merged.calls.iter();
    let python = calls.find(|call| call.kind == FrameKind::Python);
    json!({
        "name": thread.name, "state": thread.state, "gil": thread.gil, "top_frame": thread.merged.top(),
        "python": python.map(StackFrame::line), "tid": thread.tid,
    })
}
