//! What this process started and lost: its parent has ended, and the system gave it to another one.
//!
//! Such a process keeps the session and the group that it was born in, and its environment, or as a mere fork its arguments. Each can be left, and none is
//! left by accident by a program that goes on in the background.

use std::collections::{HashMap, HashSet};
use std::fs;

use nix::unistd::{getpgid, getpid, getsid};
use serde::Serialize;
use sysinfo::{Pid, System};

use super::below;

/// By what a process is known that was started here, though its parent has ended and others do not know of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum LostBy {
    /// It is in the session that this process leads.
    #[serde(rename = "session")]
    Session,
    /// It is in the process group that this process leads.
    #[serde(rename = "process group")]
    Group,
    /// Its environment has the mark of this process.
    #[serde(rename = "environment")]
    Mark,
    /// It has the arguments of this process, which no other has that was not forked from it.
    #[serde(rename = "arguments")]
    Arguments,
}

/// The variable in the environment of all that this process starts, by which it is known again.
pub const MARK: &str = "DIAPHANE_KERNEL";

/// What that variable holds: this process, and when it was started, since numbers are used again.
#[must_use]
pub fn mark() -> String {
    format!("{}-{}", std::process::id(), started("self").unwrap_or(0))
}

/// When a process was started, in ticks of the system.
fn started(pid: &str) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in brackets, may have anything in it.
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(19)?.parse().ok()
}

/// How a process that is not below this one is known to have been started here.
struct Origin {
    own: nix::unistd::Pid,
    leads_session: bool,
    leads_group: bool,
    mark: Vec<u8>,
    /// The arguments, and when this process was started, if it puts its mark into the environment: a program that does
    /// has arguments of its own, and any other may run twice with the same ones.
    arguments: Option<(Vec<u8>, u64)>,
}

impl Origin {
    fn of_this_process() -> Self {
        let own = getpid();
        Self {
            own,
            leads_session: getsid(None) == Ok(own),
            leads_group: getpgid(None) == Ok(own),
            mark: format!("{MARK}={}", mark()).into_bytes(),
            arguments: (std::env::var(MARK) == Ok(mark()))
                .then(|| Some((fs::read("/proc/self/cmdline").ok()?, started("self")?)))
                .flatten(),
        }
    }

    fn of(&self, pid: Pid) -> Option<LostBy> {
        let asked = Some(nix::unistd::Pid::from_raw(pid.as_u32().cast_signed()));
        if self.leads_session && getsid(asked) == Ok(self.own) {
            return Some(LostBy::Session);
        }
        if self.leads_group && getpgid(asked) == Ok(self.own) {
            return Some(LostBy::Group);
        }
        let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
        let mut variables = environment.split(|&byte| byte == 0);
        if variables.any(|variable| variable == self.mark) {
            return Some(LostBy::Mark);
        }
        // A fork has the environment that this process was started with.
        let (arguments, since) = self.arguments.as_ref()?;
        let is_copy = fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|own| own == *arguments);
        let is_later = || started(&pid.to_string()).is_some_and(|started| started > *since);
        (is_copy && is_later()).then_some(LostBy::Arguments)
    }
}

/// What was started here and is not among the given ones, each with its depth and by what it is known.
pub(super) fn find(system: &System, family: &[(Pid, usize)]) -> Vec<(Pid, usize, LostBy)> {
    let origin = Origin::of_this_process();
    let known: HashSet<Pid> = family.iter().map(|(pid, _)| *pid).collect();
    let others = system.processes().values();
    let others = others.filter(|one| one.thread_kind().is_none() && !known.contains(&one.pid()));
    let found: HashMap<Pid, LostBy> = others
        .filter_map(|one| Some((one.pid(), origin.of(one.pid())?)))
        .collect();
    let parent = |pid: &Pid| system.process(*pid).and_then(sysinfo::Process::parent);
    let is_first = |pid: &&Pid| parent(pid).is_none_or(|parent| !found.contains_key(&parent));
    let mut first: Vec<Pid> = found.keys().filter(is_first).copied().collect();
    first.sort_unstable();
    let trees = first.into_iter().flat_map(|root| {
        let below = below(system, root).into_iter();
        let by = found[&root];
        below.map(move |(pid, depth)| (pid, depth, by))
    });
    trees.collect()
}
