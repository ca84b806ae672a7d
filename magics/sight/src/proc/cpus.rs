//! How many CPUs this process may use: those that are online, its affinity, and the quotas of its control groups.
//!
//! It says what is allowed; what is used is for `host` and `threads`.

use std::path::Path;

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity};
use serde::Serialize;

use crate::proc::cgroups;

/// The limits and what remains.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cpus {
    /// The CPUs of the machine that are on.
    pub online: Option<usize>,
    /// The CPUs that the main thread may run on.
    pub affinity: Option<usize>,
    /// The CPUs' worth of time that the control groups grant; `None` without a quota.
    pub quota: Option<f64>,
    /// The smallest of the three, rounded up; `None` if none is known.
    pub usable: Option<usize>,
}

impl Cpus {
    /// Asks the kernel.
    pub fn read() -> Self {
        let online = std::fs::read_to_string("/sys/devices/system/cpu/online")
            .ok()
            .and_then(|list| count(&list));
        let main = Pid::from_raw(std::process::id().cast_signed());
        let affinity = sched_getaffinity(main)
            .ok()
            .map(|set: CpuSet| set.count() as usize);
        Self::new(
            online,
            affinity,
            quota(Path::new("/proc/self"), Path::new("/")),
        )
    }

    fn new(online: Option<usize>, affinity: Option<usize>, quota: Option<f64>) -> Self {
        // A quota is a small positive number: the conversion is exact enough, and saturates.
        let whole = quota.map(|cpus| (cpus.ceil() as usize).max(1));
        let usable = [online, affinity, whole].into_iter().flatten().min();
        Self {
            online,
            affinity,
            quota,
            usable,
        }
    }
}

/// Counts the CPUs in a list such as `0-3,8`.
fn count(list: &str) -> Option<usize> {
    list.trim().split(',').try_fold(0, |sum, range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        Some(sum + last.checked_sub(first)? + 1)
    })
}

/// The smallest quota among the process's control group and those around it, in versions 1 and 2.
fn quota(process: &Path, root: &Path) -> Option<f64> {
    let folders = cgroups::folders(process, root, "cpu").into_iter();
    folders
        .filter_map(|folder| limit(&folder.path, folder.unified))
        .min_by(f64::total_cmp)
}

/// The quota of one group; `max` and `-1` mean that there is none.
fn limit(group: &Path, unified: bool) -> Option<f64> {
    let number = |name: &str| -> Option<f64> {
        let text = std::fs::read_to_string(group.join(name)).ok()?;
        text.trim().parse().ok()
    };
    let (granted, period): (f64, f64) = if unified {
        let text = std::fs::read_to_string(group.join("cpu.max")).ok()?;
        let (granted, period) = text.trim().split_once(' ')?;
        (granted.parse().ok()?, period.parse().ok()?)
    } else {
        (number("cpu.cfs_quota_us")?, number("cpu.cfs_period_us")?)
    };
    (granted > 0.0 && period > 0.0).then_some(granted / period)
}

/// What this machine's processors can do, by the kernel's names; empty where it does not say.
#[must_use]
pub fn features() -> Vec<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text
        .lines()
        .find(|line| line.starts_with("flags") || line.starts_with("Features"));
    let list = line
        .and_then(|line| line.split_once(':'))
        .map_or("", |(_, list)| list);
    list.split_whitespace().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn counts_lists() {
        assert_eq!(count("0-3,8\n"), Some(5));
        assert_eq!(count("0\n"), Some(1));
        assert_eq!(count(""), None);
        assert_eq!(count("3-1"), None);
    }

    #[test]
    fn usable_is_the_smallest_limit() {
        assert_eq!(Cpus::new(Some(8), Some(4), Some(1.5)).usable, Some(2));
        assert_eq!(Cpus::new(Some(8), None, None).usable, Some(8));
        assert_eq!(Cpus::new(None, None, None).usable, None);
        assert_eq!(Cpus::new(Some(8), None, Some(0.1)).usable, Some(1));
    }

    #[test]
    fn this_machine_has_a_cpu() {
        let cpus = Cpus::read();
        let affinity = cpus.affinity.unwrap();
        assert!(affinity >= 1 && cpus.usable.unwrap() <= affinity);
    }

    /// A process in the group `/a/b`, with the files given.
    fn quota_of(cgroup: &str, mountinfo: &str, files: &[(&str, &str)]) -> Option<f64> {
        let root = tempfile::tempdir().unwrap();
        let process = root.path().join("process");
        fs::create_dir(&process).unwrap();
        fs::write(process.join("cgroup"), cgroup).unwrap();
        fs::write(process.join("mountinfo"), mountinfo).unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        quota(&process, root.path())
    }

    #[test]
    fn the_quota_of_an_outer_group_counts() {
        let mounts = "30 23 0:26 / /cg rw,nosuid shared:4 - cgroup2 cgroup2 rw\n";
        let files = [
            ("cg/a/b/cpu.max", "max 100000\n"),
            ("cg/a/cpu.max", "150000 100000\n"),
        ];
        assert_eq!(quota_of("0::/a/b\n", mounts, &files), Some(1.5));
        assert_eq!(quota_of("0::/a/b\n", mounts, &files[..1]), None);
    }

    #[test]
    fn the_first_version_has_two_files() {
        let mounts = "33 23 0:29 /a /v1/cpu rw - cgroup cgroup rw,cpu,cpuacct\n";
        let files = [
            ("v1/cpu/b/cpu.cfs_quota_us", "200000\n"),
            ("v1/cpu/b/cpu.cfs_period_us", "100000\n"),
        ];
        assert_eq!(
            quota_of("4:cpu,cpuacct:/a/b\n1:name=x:/\n", mounts, &files),
            Some(2.0)
        );
    }
}
