//! The time that the processes below this one use.

use std::collections::HashMap;
use std::fs;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

use super::below;

/// What tells a process from another that has its number later: when it was started.
pub type ProcessIdentity = (i32, u64);

/// The time that processes below this one have used on CPUs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChildrenTime {
    /// Each that is there, in nanoseconds, with its own children that have ended.
    pub alive: HashMap<ProcessIdentity, u64>,
    /// All that have ended and were waited for.
    pub ended: u64,
}

/// Asks for it; it takes as long as a list of all processes.
#[must_use]
pub fn children_time() -> ChildrenTime {
    let Ok(mut system) = System::new() else {
        return ChildrenTime::default();
    };
    let own = Pid::from_u32(std::process::id());
    let parents = ProcessRefreshKind::nothing().without_tasks();
    system.refresh_processes_specifics(ProcessesToUpdate::All, true, parents);
    let below = below(&system, own).into_iter();
    let others = below.map(|(pid, _)| pid.as_u32().cast_signed());
    let others = others.filter(|pid| *pid != own.as_u32().cast_signed());
    let ended = getrusage(UsageWho::RUSAGE_CHILDREN).map_or(0, |usage| {
        let time = usage.user_time() + usage.system_time();
        u64::try_from(time.num_microseconds()).unwrap_or(0) * 1000
    });
    ChildrenTime {
        alive: others.filter_map(used).collect(),
        ended,
    }
}

/// The processes below this one, as far as Linux lists children by their parents; it takes some microseconds for each.
#[must_use]
pub fn descendants() -> Vec<ProcessIdentity> {
    let mut found = Vec::new();
    let mut next = vec![std::process::id().cast_signed()];
    while let Some(pid) = next.pop() {
        let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else {
            continue;
        };
        for task in tasks.flatten() {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            next.extend(
                children
                    .split_whitespace()
                    .filter_map(|pid| pid.parse::<i32>().ok()),
            );
        }
        found.extend(times(pid).map(|(identity, ..)| identity));
    }
    found.retain(|(pid, _)| *pid != std::process::id().cast_signed());
    found
}

/// Whether the program of a process is a Python, or this process's own one; no where it cannot be read.
#[must_use]
pub fn runs_python(pid: i32) -> bool {
    let program = |pid: &str| fs::read_link(format!("/proc/{pid}/exe")).ok();
    program(&pid.to_string()).is_some_and(|found| {
        let name = found
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        name.is_some_and(|name| name.starts_with("python")) || program("self") == Some(found)
    })
}

/// Whether Linux lists children by their parents.
#[must_use]
pub fn lists_children() -> bool {
    fs::exists("/proc/thread-self/children").unwrap_or(false)
}

/// A process and the time that it and its children have used.
fn used(pid: i32) -> Option<(ProcessIdentity, u64)> {
    let (identity, own, childrens) = times(pid)?;
    Some((identity, own + childrens))
}

/// A process with the time it has used, and with that of its children which have ended.
pub(crate) fn times(pid: i32) -> Option<(ProcessIdentity, u64, u64)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    // In the order of the kernel: its user's and system's time, and the same of its children.
    let time = |fields: std::ops::Range<usize>| {
        let ticks: u64 = fields.map(number).sum::<Option<u64>>()?;
        Some(ticks * 1_000_000_000 / rustix::param::clock_ticks_per_second())
    };
    Some(((pid, number(19)?), time(11..13)?, time(13..15)?))
}

impl ChildrenTime {
    /// What was used since an earlier look: by each process that is there and has used some, and by all that have ended.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let then = |one: &ProcessIdentity| before.alive.get(one).copied().unwrap_or(0);
        let grown = self
            .alive
            .iter()
            .map(|(one, now)| (*one, now.saturating_sub(then(one))));
        // One that has ended in between counts among the ended with what it had used before.
        let gone = before
            .alive
            .iter()
            .filter(|(one, _)| !self.alive.contains_key(one));
        let counted: u64 = gone.map(|(_, used)| used).sum();
        Self {
            alive: grown.filter(|(_, used)| *used > 0).collect(),
            ended: self
                .ended
                .saturating_sub(before.ended)
                .saturating_sub(counted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_counts_once_where_a_child_ends() {
        let time = |alive: &[(ProcessIdentity, u64)], ended| ChildrenTime {
            alive: alive.iter().copied().collect(),
            ended,
        };
        let before = time(&[((1, 5), 100), ((2, 6), 30)], 1000);
        let after = time(&[((1, 5), 150), ((3, 9), 7)], 1080);
        assert_eq!(after.since(&before), time(&[((1, 5), 50), ((3, 9), 7)], 50));
    }
}
