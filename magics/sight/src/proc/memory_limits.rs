//! How much memory and how many regions this process may have: resource limits, control groups, the kernel's own limit.

use std::path::Path;

use rustix::process::{Resource, getrlimit};
use serde::Serialize;

use crate::proc::cgroups::folders;

/// A limit, and how much of it is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MemoryLimit {
    /// What sets it.
    pub name: String,
    /// The most that is allowed, in bytes.
    pub limit: u64,
    /// What counts towards it, in bytes.
    pub used: u64,
}

/// The limits of memory that are set.
pub fn all() -> Vec<MemoryLimit> {
    let (size, data) = own_sizes();
    let limit = |name: &str, resource, used: Option<u64>| {
        Some(MemoryLimit {
            name: name.into(),
            limit: getrlimit(resource).current?,
            used: used?,
        })
    };
    let own = [
        limit("RLIMIT_AS", Resource::As, size),
        limit("RLIMIT_DATA", Resource::Data, data),
    ];
    let groups = of_groups(Path::new("/proc/self"), Path::new("/"));
    own.into_iter().flatten().chain(groups).collect()
}

/// The limit of which the least is left, as a part of it; the memory of the machine counts as one. Of a control group
/// the files that can be dropped at once are not counted as used.
pub fn nearest() -> Option<MemoryLimit> {
    let left =
        |limit: &MemoryLimit| limit.limit.saturating_sub(limit.used) as f64 / limit.limit as f64;
    let limits = all()
        .into_iter()
        .map(MemoryLimit::without_files)
        .chain(machine());
    limits
        .filter(|limit| limit.limit > 0)
        .min_by(|one, other| left(one).total_cmp(&left(other)))
}

/// The memory of the machine.
fn machine() -> Option<MemoryLimit> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kib * 1024)
    };
    let limit = field("MemTotal:")?;
    Some(MemoryLimit {
        name: "the machine's memory".to_owned(),
        limit,
        used: limit.saturating_sub(field("MemAvailable:")?),
    })
}

/// How often the kernel has ended a process for want of memory: of this process's control group, or else of the machine.
/// With the sentence's target.
pub fn kills() -> Option<(&'static str, i64)> {
    let read = |path: &Path, key: &str| {
        let text = std::fs::read_to_string(path).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(key))?;
        line.trim().parse().ok()
    };
    let of_group = || {
        let groups = folders(Path::new("/proc/self"), Path::new("/"), "memory");
        groups.iter().find_map(|folder| match folder.unified {
            true => read(&folder.path.join("memory.events"), "oom_kill "),
            false => read(&folder.path.join("memory.oom_control"), "oom_kill "),
        })
    };
    let of_machine = || read(Path::new("/proc/vmstat"), "oom_kill ");
    of_group()
        .map(|count| ("The control group's", count))
        .or_else(|| of_machine().map(|count| ("The machine's", count)))
}

impl MemoryLimit {
    /// The same of a control group without files that can be dropped at once.
    fn without_files(mut self) -> Self {
        let path = Path::new(&self.name);
        let stat = path.parent().map(|folder| folder.join("memory.stat"));
        let text = stat
            .and_then(|stat| std::fs::read_to_string(stat).ok())
            .unwrap_or_default();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("inactive_file "));
        let files = line.and_then(|line| line.trim().parse().ok()).unwrap_or(0);
        self.used = self.used.saturating_sub(files);
        self
    }
}

/// The most regions that the kernel allows.
pub fn regions() -> Option<usize> {
    std::fs::read_to_string("/proc/sys/vm/max_map_count")
        .ok()?
        .trim()
        .parse()
        .ok()
}

/// The bytes of all addresses, and of those that are private and can be written.
fn own_sizes() -> (Option<u64>, Option<u64>) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kib * 1024)
    };
    (field("VmSize:"), field("VmData:"))
}

fn of_groups(process: &Path, root: &Path) -> Vec<MemoryLimit> {
    let number = |path: &Path| {
        std::fs::read_to_string(path)
            .ok()?
            .trim()
            .parse::<u64>()
            .ok()
    };
    let limit = |folder: crate::proc::cgroups::Folder| {
        let (limit, used) = match folder.unified {
            true => ("memory.max", "memory.current"),
            false => ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        };
        let path = folder.path.join(limit);
        // Version 1 writes a number near the largest one where nothing is set.
        let most = number(&path).filter(|&most| most < 1 << 60)?;
        Some(MemoryLimit {
            name: path.to_string_lossy().into_owned(),
            limit: most,
            used: number(&folder.path.join(used))?,
        })
    };
    folders(process, root, "memory")
        .into_iter()
        .filter_map(limit)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_limit_of_a_control_group_is_found() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("proc/cgroup", "0::/work\n");
        write(
            "proc/mountinfo",
            "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
        );
        write("sys/fs/cgroup/memory.max", "max\n");
        write("sys/fs/cgroup/work/memory.max", "1000\n");
        write("sys/fs/cgroup/work/memory.current", "900\n");
        let found = of_groups(&root.path().join("proc"), root.path());
        let [one] = found.as_slice() else {
            panic!("{found:?}")
        };
        assert_eq!((one.limit, one.used), (1000, 900));
        assert!(one.name.ends_with("work/memory.max"));
    }

    #[test]
    fn the_number_of_regions_is_limited() {
        assert!(regions().unwrap() >= 1000);
    }
}
