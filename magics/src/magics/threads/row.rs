//! A thread as a row of the report.

use std::borrow::Cow;
use std::collections::HashMap;

use diaphane_sight::threads::running_cells::CellId;
use diaphane_sight::threads::{Confidence, Thread};
use serde::Serialize;

use super::Answer;
use crate::session::journal;
use crate::stacks::merged::{MergedStack, StackFrame};
use crate::stacks::snapshot::{Gil, ThreadKind};

#[derive(Serialize)]
pub(super) struct ThreadRow<'a> {
    tid: i32,
    name: Cow<'a, str>,
    comm: &'a str,
    kind: ThreadKind,
    owner: Option<&'a str>,
    start_function: Option<&'a str>,
    owner_path: Option<&'a str>,
    owner_package: Option<&'a str>,
    owner_package_version: Option<&'a str>,
    owner_confidence: Option<Confidence>,
    created_in: Option<u32>,
    created_by: Option<i32>,
    state: char,
    wait: Option<String>,
    wait_channel: Option<&'a str>,
    cpu_ns: Option<u64>,
    cpu_pct: Option<f64>,
    last_cpu: Option<u32>,
    affinity: Option<&'a str>,
    gil: Option<Gil>,
    gil_wait_pct: Option<f64>,
    ctx_switches: Switches,
    sigblk: Option<String>,
    top_frame: Option<String>,
    stack: Option<Vec<StackFrame>>,
}

#[derive(Serialize)]
struct Switches {
    vol: Option<u64>,
    invol: Option<u64>,
}

impl Answer {
    pub(super) fn row<'a>(
        &'a self,
        thread: &'a Thread,
        stacks: Option<&'a HashMap<i32, MergedStack>>,
    ) -> ThreadRow<'a> {
        let snapshot = &self.snapshot;
        let owner = thread.owner.as_ref();
        let library = snapshot.owner(thread);
        let package = owner.and_then(|owner| snapshot.package_of(owner.library));
        let sample = self.sample.as_ref();
        let stack = stacks.and_then(|stacks| stacks.get(&thread.tid));
        let runs_python = snapshot.interpreter.states.contains_key(&thread.tid);
        ThreadRow {
            tid: thread.tid,
            name: self.name(thread),
            comm: &thread.comm,
            kind: self.kind(thread),
            owner: library.map(|library| library.name.as_str()),
            start_function: owner.and_then(|owner| owner.symbol.as_deref()),
            owner_path: library.and_then(|library| library.path.as_deref()),
            owner_package: package.map(|package| package.name.as_str()),
            owner_package_version: package.map(|package| package.version.as_str()),
            owner_confidence: owner.map(|owner| owner.confidence),
            created_in: match &thread.creation {
                Some(birth) => birth.cell,
                None => journal::cell_of_thread(thread.tid),
            }
            .and_then(CellId::number),
            created_by: thread.creation.map(|record| record.creator),
            state: thread.state,
            wait: thread.call.as_ref().map(|call| match call.name {
                _ if snapshot.waits_for_the_gil(call) => "GIL".to_owned(),
                Some(name) => name.to_owned(),
                None => format!("syscall {}", call.number),
            }),
            wait_channel: thread.wait_channel.as_deref(),
            cpu_ns: thread.cpu_ns,
            cpu_pct: sample.and_then(|sample| sample.cpu_percent(thread.tid)),
            last_cpu: thread.last_cpu,
            affinity: thread.affinity.as_deref(),
            gil: snapshot.gil(thread),
            gil_wait_pct: sample
                .filter(|_| runs_python)
                .map(|sample| (sample.gil_wait(thread.tid) * 1000.0).round() / 10.0),
            ctx_switches: Switches {
                vol: thread.voluntary_switches,
                invol: thread.involuntary_switches,
            },
            sigblk: thread.blocked_signals.map(|mask| format!("{mask:#018x}")),
            top_frame: stack.and_then(MergedStack::top),
            stack: stack
                .filter(|stack| stack.native || !stack.calls.is_empty())
                .map(|stack| stack.calls.clone()),
        }
    }
}
