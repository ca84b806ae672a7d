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
