//! This process and those that it started, as the kernel's files tell: what they run, what memory they have alone, and
//! which have lost their parents.

mod cpu_time;
mod lost;

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::fs;

use serde::Serialize;
use sysinfo::{Pid, ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, System, UpdateKind};

pub(crate) use cpu_time::times;
pub use cpu_time::{
    ChildrenTime, ProcessIdentity, children_time, descendants, lists_children, runs_python,
};
pub use lost::{LostBy, MARK, mark};

/// What a child is to this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ProcessKind {
    /// This process itself.
    Own,
    /// A copy: it runs the same program with the same arguments.
    Fork,
    /// Another program, or the same one started anew.
    Program,
    /// It has ended, and nobody has asked how.
    Zombie,
}

/// One process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Process {
    /// The kernel's number.
    pub pid: i32,
    /// Who started it.
    pub parent: i32,
    /// How far below this process it stands.
    pub depth: usize,
    /// The kernel's name, of at most 15 bytes.
    pub name: String,
    /// What it is to this process.
    pub kind: ProcessKind,
    /// By what it is known, if its parent has ended; it or one above it has another parent now.
    pub lost: Option<LostBy>,
    /// Its arguments, the first one being the program.
    pub command: Vec<String>,
    /// What its first thread does: `runnable`, `sleeping`, and so on.
    pub state: String,
    /// How many threads it has.
    pub threads: usize,
    /// When it was started, in seconds after this process was.
    pub started: u64,
    /// The time that it has spent on CPUs, in milliseconds.
    pub cpu_ms: u64,
    /// In physical memory, in bytes; `None` where the kernel does not tell us.
    pub rss: Option<u64>,
    /// The same, where each page counts for its part if several processes share it.
    pub pss: Option<u64>,
    /// Pages that no other process has.
    pub private: Option<u64>,
    /// Pages that others have too.
    pub shared: Option<u64>,
}

/// A process and all below it, parents before children, each with its depth.
pub(crate) fn below(system: &System, root: Pid) -> Vec<(Pid, usize)> {
    let mut children: HashMap<Pid, Vec<&sysinfo::Process>> = HashMap::new();
    for process in system.processes().values() {
        // A thread stands among the processes where somebody asked for tasks.
        if let (Some(parent), None) = (process.parent(), process.thread_kind()) {
            children.entry(parent).or_default().push(process);
        }
    }
    // The last one is taken first.
    for siblings in children.values_mut() {
        siblings.sort_unstable_by_key(|one| Reverse((one.start_time(), one.pid())));
    }
    let mut found = Vec::new();
    let mut next = vec![(root, 0)];
    while let Some((pid, depth)) = next.pop() {
        found.push((pid, depth));
        let below = children.get(&pid).into_iter().flatten();
        next.extend(below.map(|child| (child.pid(), depth + 1)));
    }
    found
}

/// This process and all below it, parents before children; then what was started here and has lost its parent.
#[must_use]
pub fn family() -> Vec<Process> {
    let Ok(mut system) = System::new() else {
        return Vec::new();
    };
    let own = Pid::from_u32(std::process::id());
    let parents = ProcessRefreshKind::nothing().without_tasks();
    system.refresh_processes_specifics(ProcessesToUpdate::All, true, parents);
    let below = below(&system, own);
    let lost = lost::find(&system, &below);
    let own_ones = below.into_iter().map(|(pid, depth)| (pid, depth, None));
    let lost = lost
        .into_iter()
        .map(|(pid, depth, by)| (pid, depth, Some(by)));
    let family: Vec<(Pid, usize, Option<LostBy>)> = own_ones.chain(lost).collect();
    // Only these are asked for more, since a machine may have thousands of others.
    let pids: Vec<Pid> = family.iter().map(|(pid, ..)| *pid).collect();
    let details = ProcessRefreshKind::nothing()
        .with_cpu()
        .with_memory()
        .with_tasks()
        .with_cmd(UpdateKind::Always)
        .with_exe(UpdateKind::Always);
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&pids), true, details);
    let Some(this) = system.process(own) else {
        return Vec::new();
    };
    let one = |(pid, depth, lost)| {
        Some(Process {
            lost,
            ..process(system.process(pid)?, this, depth)
        })
    };
    family.into_iter().filter_map(one).collect()
}

fn process(one: &sysinfo::Process, own: &sysinfo::Process, depth: usize) -> Process {
    let is_copy = || one.exe().is_some() && one.exe() == own.exe() && one.cmd() == own.cmd();
    let kind = match one.status() {
        _ if one.pid() == own.pid() => ProcessKind::Own,
        ProcessStatus::Zombie | ProcessStatus::Dead => ProcessKind::Zombie,
        _ if is_copy() => ProcessKind::Fork,
        _ => ProcessKind::Program,
    };
    let memory = Rollup::read(one.pid());
    let command = one.cmd().iter();
    Process {
        pid: one.pid().as_u32().cast_signed(),
        parent: one.parent().map_or(0, |pid| pid.as_u32().cast_signed()),
        depth,
        name: one.name().to_string_lossy().into_owned(),
        kind,
        lost: None,
        command: command
            .map(|word| word.to_string_lossy().into_owned())
            .collect(),
        state: one.status().to_string().to_lowercase(),
        threads: 1 + one.tasks().map_or(0, HashSet::len),
        // Both are the system's start and a difference, and the former moves when the clock is set.
        started: one.start_time().saturating_sub(own.start_time()),
        cpu_ms: one.accumulated_cpu_time(),
        rss: memory
            .as_ref()
            .map(|memory| memory.rss)
            .or(Some(one.memory()))
            .filter(|rss| *rss > 0),
        pss: memory.as_ref().map(|memory| memory.pss),
        private: memory.as_ref().map(|memory| memory.private),
        shared: memory.as_ref().map(|memory| memory.shared),
    }
}

/// The memory of a process by who else has it, which is what `sysinfo` does not tell.
pub(crate) struct Rollup {
    pub rss: u64,
    pub pss: u64,
    pub private: u64,
    pub shared: u64,
}

impl Rollup {
    /// Sums over all regions, in bytes; `None` where the kernel does not tell us.
    pub fn read(pid: Pid) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        let of = |key: &str| {
            let mut lines = text.lines();
            let value = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
            let kilobytes: u64 = value.trim().strip_suffix(" kB")?.trim().parse().ok()?;
            Some(kilobytes * 1024)
        };
        Some(Self {
            rss: of("Rss")?,
            pss: of("Pss")?,
            private: of("Private_Clean")? + of("Private_Dirty")?,
            shared: of("Shared_Clean")? + of("Shared_Dirty")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_child_is_found_with_its_program() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let own = std::process::id().cast_signed();
        // Between fork and exec it is still ours.
        let found = (0..100_000).find_map(|_| {
            let family = family();
            let own =
                |one: &&Process| one.pid == child.id().cast_signed() && one.command == ["cat"];
            let found = family.iter().find(own)?;
            Some((family[0].clone(), found.clone()))
        });
        let (first, found) = found.unwrap();
        assert_eq!(
            (first.pid, first.kind, first.depth),
            (own, ProcessKind::Own, 0)
        );
        assert_eq!(found.pid, child.id().cast_signed());
        assert_eq!(
            (found.parent, found.depth, found.kind),
            (own, 1, ProcessKind::Program)
        );
        assert_eq!(found.threads, 1);
        let (rss, parts) = (
            found.rss.unwrap(),
            found.private.unwrap() + found.shared.unwrap(),
        );
        assert!(rss > 0 && parts == rss);
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(family().iter().all(|one| one.pid != found.pid));
    }
}
