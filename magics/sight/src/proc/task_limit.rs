//! How many threads this process may still have: the limits of its control groups and of its user.

use std::path::Path;

use rustix::process::{Resource, getrlimit};
use serde::Serialize;

use crate::proc::cgroups;

/// A limit on the number of threads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TaskLimit {
    /// What sets it.
    pub source: String,
    /// How many threads count towards it now.
    pub now: u64,
    /// How many are allowed.
    pub most: u64,
}

/// The limit that leaves the least room; `None` where nothing limits.
pub fn task_limit() -> Option<TaskLimit> {
    let groups = cgroups::folders(Path::new("/proc/self"), Path::new("/"), "pids");
    let limits = groups.iter().filter_map(|folder| of_group(&folder.path));
    limits
        .chain(of_user())
        .min_by_key(|limit| limit.most.saturating_sub(limit.now))
}

fn of_group(folder: &Path) -> Option<TaskLimit> {
    let number = |name: &str| -> Option<u64> {
        let text = std::fs::read_to_string(folder.join(name)).ok()?;
        text.trim().parse().ok()
    };
    Some(TaskLimit {
        source: folder.join("pids.max").to_string_lossy().into_owned(),
        now: number("pids.current")?,
        most: number("pids.max")?,
    })
}

/// The limit of the user, which the kernel does not apply to root.
fn of_user() -> Option<TaskLimit> {
    let user = rustix::process::getuid();
    let most = getrlimit(Resource::Nproc).current?;
    // All threads of the machine are at least as many as the user's; counting those reads a file for each process.
    let all = all_tasks()?;
    let near = all > most / 2;
    (!user.is_root() && near).then(|| TaskLimit {
        source: "RLIMIT_NPROC (ulimit -u)".into(),
        now: tasks_of(user.as_raw()),
        most,
    })
}

/// How many threads there are on the machine: behind the slash in `0.00 0.01 0.05 1/123 456`.
fn all_tasks() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    let (_, all) = text.split(' ').nth(3)?.split_once('/')?;
    all.parse().ok()
}

/// The threads of all processes of a user.
fn tasks_of(user: u32) -> u64 {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let statuses = processes
        .filter(|entry| entry.file_name().as_encoded_bytes()[0].is_ascii_digit())
        .filter_map(|entry| std::fs::read_to_string(entry.path().join("status")).ok());
    let threads = |status: String| {
        let value = |key: &str| {
            let mut lines = status.lines();
            let line = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(":\t"));
            line.and_then(|line| line.split_ascii_whitespace().next()?.parse::<u64>().ok())
        };
        (value("Uid")? == u64::from(user)).then(|| value("Threads"))?
    };
    statuses.filter_map(threads).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_has_two_files() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name, text| std::fs::write(folder.path().join(name), text).unwrap();
        write("pids.current", "7\n");
        write("pids.max", "max\n");
        assert_eq!(of_group(folder.path()), None);
        write("pids.max", "9\n");
        let limit = of_group(folder.path()).unwrap();
        assert_eq!((limit.now, limit.most), (7, 9));
    }

    #[test]
    fn this_machine_has_threads() {
        let own = rustix::process::getuid().as_raw();
        assert!(tasks_of(own) >= 1 && all_tasks().unwrap() >= 1);
    }
}
