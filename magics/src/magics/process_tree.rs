//! `%process_tree`: this kernel and the processes that it started, with their threads and memory.

mod columns;

use std::collections::HashSet;

use diaphane_forks::ProcessLock;
use diaphane_sight::proc::processes::{LostBy, Process, ProcessKind, family};
use serde::Serialize;
use serde_json::json;

use crate::error::Error;
use crate::magic::{Context, Magic, Questions};
use diaphane_report::view::bytes;
use diaphane_report::{Report, Schema, fields, rows};

/// List this process and all that it started, with what has changed since the last time.
///
/// What has lost its parent, such as `nohup sleep 300 &` of a shell that has ended, is listed too: it is known by the
/// session or group of this process, or by a variable in its environment.
/// Code of NumPy and of other libraries runs inside of this process; a child is a copy of it (fork, multiprocessing), or
/// another program (subprocess, spawn).
#[derive(Debug, clap::Args)]
pub(crate) struct ProcessTreeArgs {}

/// What tells one process from another that has its number later.
type ProcessIdentity = (i32, u64);

/// The processes of the last look, with their threads.
static LAST: ProcessLock<Option<Vec<(ProcessIdentity, usize)>>> = ProcessLock::new(|| None);

#[derive(Serialize)]
struct ProcessRow {
    tree: String,
    pid: i32,
    parent: i32,
    depth: usize,
    name: String,
    what: String,
    kind: ProcessKind,
    /// `new` if it was not there at the last look.
    change: Option<&'static str>,
    state: String,
    lost_by: Option<LostBy>,
    end: Option<String>,
    threads: usize,
    rss: Option<u64>,
    pss: Option<u64>,
    private: Option<u64>,
    shared: Option<u64>,
    command: Vec<String>,
}

/// The magic.
pub(crate) struct ProcessTree;

impl Magic for ProcessTree {
    const NAME: &'static str = "process_tree";
    const QUESTIONS: Questions = &[("Which processes did I start, and what do they cost?", "")];
    const SCHEMA: &'static Schema = &columns::SCHEMA;
    type Args = ProcessTreeArgs;

    fn only_looks(_args: &ProcessTreeArgs) -> bool {
        // It remembers the look.
        false
    }

    fn run(_args: &ProcessTreeArgs, context: &Context<'_, '_>) -> Result<Report, Error> {
        diaphane_sight::proc::tells()?;
        let family = context.without_gil(family);
        let now: Vec<(ProcessIdentity, usize)> = family
            .iter()
            .map(|one| (identity(one), one.threads))
            .collect();
        let before = {
            let mut last = LAST.lock();
            last.replace(now.clone())
        };
        let known: Option<HashSet<ProcessIdentity>> = before
            .as_ref()
            .map(|before| before.iter().map(|(identity, _)| *identity).collect());
        let is_new = |one: &Process| {
            known
                .as_ref()
                .is_some_and(|known| !known.contains(&identity(one)))
        };
        let all = family.iter().map(|one| row(one, is_new(one)));
        let gone = before.as_ref().map_or(0, |before| {
            let stays = |one: &&(ProcessIdentity, usize)| {
                now.iter().all(|(identity, _)| *identity != one.0)
            };
            before.iter().filter(stays).count()
        });
        let hidden = family
            .iter()
            .filter(|one| one.kind != ProcessKind::Zombie && one.private.is_none())
            .count();
        let mut limits = Vec::new();
        if hidden > 0 {
            limits.push(format!(
                "processes whose memory Linux does not show us: {hidden}"
            ));
        }
        Ok(Report {
            name: Self::NAME,
            columns: columns::COLUMNS,
            rows: rows(all)?,
            facts: fields(json!({
                "processes": family.len(),
                "threads": family.iter().map(|one| one.threads).sum::<usize>(),
                "private": family.iter().filter_map(|one| one.private).sum::<u64>(),
                "gone": gone,
                "lost": family.iter().filter(|one| one.lost.is_some()).count(),
            }))?,
            summary: summary(&family, before.as_deref(), gone, is_new),
            limits,
            ..Report::default()
        })
    }
}

fn identity(process: &Process) -> ProcessIdentity {
    (process.pid, process.started)
}

fn row(one: &Process, is_new: bool) -> ProcessRow {
    ProcessRow {
        tree: "  ".repeat(one.depth) + &one.name,
        pid: one.pid,
        parent: one.parent,
        depth: one.depth,
        name: one.name.clone(),
        what: what(one),
        kind: one.kind,
        change: is_new.then_some("new"),
        state: one.state.clone(),
        lost_by: one.lost,
        end: can_be_ended(one).then(|| format!("!kill {}", one.pid)),
        threads: one.threads,
        rss: one.rss,
        pss: one.pss,
        private: one.private,
        shared: one.shared,
        command: one.command.clone(),
    }
}

/// Whether it was started here, has lost its parent, and still runs: what has ended cannot be ended.
fn can_be_ended(one: &Process) -> bool {
    one.lost.is_some() && one.kind != ProcessKind::Zombie
}

/// What a process is, as far as its command line says.
fn what(one: &Process) -> String {
    let says = |word: &str| one.command.iter().any(|part| part.contains(word));
    match one.kind {
        ProcessKind::Own => "this kernel".into(),
        ProcessKind::Fork => "a fork: a copy of its parent".into(),
        ProcessKind::Zombie => "ended, and not waited for".into(),
        _ if one.lost.is_some() && one.depth == 0 => {
            "started here, and its parent has ended".into()
        }
        ProcessKind::Program if says("multiprocessing.resource_tracker") => {
            "multiprocessing's resource tracker".into()
        }
        ProcessKind::Program if says("loky.backend.resource_tracker") => {
            "joblib's resource tracker, which ends with this kernel".into()
        }
        ProcessKind::Program if says("loky.backend.popen_loky") => {
            "a worker of joblib, which ends when it has had no work for a while".into()
        }
        ProcessKind::Program if says("multiprocessing.spawn") => "multiprocessing, spawned".into(),
        ProcessKind::Program if says("multiprocessing.forkserver") => {
            "multiprocessing's fork server, or its copy".into()
        }
        ProcessKind::Program if one.name == "diaphane-rust" => {
            "this kernel's compiler of Rust cells".into()
        }
        ProcessKind::Program => "another program".into(),
    }
}

fn summary(
    family: &[Process],
    before: Option<&[(ProcessIdentity, usize)]>,
    gone: usize,
    is_new: impl Fn(&Process) -> bool,
) -> Vec<String> {
    let threads: usize = family.iter().map(|one| one.threads).sum();
    let private: u64 = family.iter().filter_map(|one| one.private).sum();
    let memory = bytes(private as f64);
    let state = match family.len() {
        0 | 1 => format!("one process with {threads} threads and no child, {memory} of its own"),
        count => format!("{count} processes with {threads} threads, {memory} of their own"),
    };
    let mut sentences = vec![state];
    sentences.extend(lost(family));
    let Some(before) = before else {
        return sentences;
    };
    let new = family.iter().filter(|one| is_new(one)).count();
    let threads_before: usize = before.iter().map(|(_, threads)| threads).sum();
    let since = match (new, gone, threads == threads_before) {
        (0, 0, true) => "nothing came or went since the last look".to_owned(),
        (0, 0, false) => format!(
            "since the last look no process came or went, and threads went from {threads_before} to {threads}"
        ),
        _ => format!(
            "since the last look: {new} new, {gone} gone; threads went from {threads_before} to \
             {threads}"
        ),
    };
    sentences.push(since);
    sentences
}

/// What has lost its parent, and how to end it.
fn lost(family: &[Process]) -> Option<String> {
    let lost = family.iter().filter(|one| can_be_ended(one));
    let numbers: Vec<String> = lost.map(|one| one.pid.to_string()).collect();
    let whose = match numbers.len() {
        0 => return None,
        1 => "1 was started here and has lost its parent, so that nobody waits for it".to_owned(),
        many => format!(
            "{many} were started here and have lost their parents, so that nobody waits for them"
        ),
    };
    Some(format!(
        "{whose}; !kill {} ends what is of no use",
        numbers.join(" ")
    ))
}
