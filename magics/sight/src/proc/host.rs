//! The machine and what this process uses of it, for reports and for Jupyter's `usage_request`.
//!
//! The figures of `HostUsage` mean what ipykernel's mean, since front ends show them side by side; those come from psutil,
//! whose definitions of "used", "cached" and "percent" are followed here.

use std::collections::HashMap;
use std::fs;
use std::time::{Duration, Instant};

use serde::Serialize;
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

use crate::proc::processes::{ProcessIdentity, Rollup, below, descendants, lists_children, times};
use crate::proc::resource_usage;

/// What a report says about where it was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Host {
    /// The kernel's release.
    pub kernel: String,
    /// The version of glibc; `None` with another C library.
    pub glibc: Option<String>,
    /// The CPU's own name.
    pub cpu: Option<String>,
}

impl Host {
    /// Asks the kernel and the C library.
    pub fn read() -> Self {
        let about = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = about
            .lines()
            .find_map(|line| line.strip_prefix("model name"));
        Self {
            kernel: rustix::system::uname()
                .release()
                .to_string_lossy()
                .into_owned(),
            glibc: glibc(),
            cpu: model.map(|rest| rest.trim_start_matches([' ', '\t', ':']).to_owned()),
        }
    }
}

#[cfg(target_env = "gnu")]
#[allow(unsafe_code, reason = "glibc tells its version by a C string")]
fn glibc() -> Option<String> {
    // SAFETY: the function takes nothing and returns a constant.
    let version = unsafe { libc::gnu_get_libc_version() };
    // SAFETY: the constant ends with NUL and lives as long as the process.
    let version = unsafe { std::ffi::CStr::from_ptr(version) };
    Some(version.to_string_lossy().into_owned())
}

#[cfg(not(target_env = "gnu"))]
fn glibc() -> Option<String> {
    None
}

/// The content of a `usage_reply`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HostUsage {
    /// The machine's name.
    pub hostname: String,
    /// This process.
    pub pid: u32,
    /// Percent of one CPU that this process and its descendants used since the last sample.
    pub kernel_cpu: f64,
    /// Bytes of memory that this process and its descendants hold, shared pages divided among their users.
    pub kernel_memory: u64,
    /// Percent of all CPUs in use since the last sample; left out of the first one, which has nothing to compare with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_cpu_percent: Option<f64>,
    /// The number of CPUs.
    pub cpu_count: usize,
    /// The machine's memory.
    pub host_virtual_memory: Memory,
}

/// The machine's memory in bytes.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Memory {
    /// All of it.
    pub total: u64,
    /// What programs can get without swapping.
    pub available: u64,
    /// How much of the total is not available.
    pub percent: f64,
    /// What is not available.
    pub used: u64,
    /// What nobody uses, not even as a cache.
    pub free: u64,
    /// Recently used.
    pub active: u64,
    /// Not recently used.
    pub inactive: u64,
    /// Buffers of block devices.
    pub buffers: u64,
    /// The page cache and what the kernel can reclaim.
    pub cached: u64,
    /// Shared memory and tmpfs.
    pub shared: u64,
    /// The kernel's own structures.
    pub slab: u64,
}

impl Memory {
    /// Parses `/proc/meminfo`; a line that is missing counts as zero.
    fn parse(text: &str) -> Self {
        let size = |name: &str| -> Option<u64> {
            let value = text
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            value
                .trim()
                .strip_suffix("kB")?
                .trim()
                .parse::<u64>()
                .ok()?
                .checked_mul(1024)
        };
        let of = |name: &str| size(name).unwrap_or(0);
        let (total, free) = (of("MemTotal"), of("MemFree"));
        let cached = of("Cached") + of("SReclaimable");
        // Containers can show more available than total memory.
        let available = size("MemAvailable").unwrap_or(free + of("Buffers") + cached);
        let available = if available > total { free } else { available };
        let used = total.saturating_sub(available);
        Self {
            total,
            available,
            percent: if total == 0 {
                0.0
            } else {
                tenths(100.0 * used as f64 / total as f64)
            },
            used,
            free,
            active: of("Active"),
            inactive: of("Inactive"),
            buffers: of("Buffers"),
            cached,
            shared: of("Shmem"),
            slab: of("Slab"),
        }
    }
}

/// Compares each sample with the one before.
pub struct UsageMeter {
    system: Option<System>,
    samples: u64,
    /// When the last sample was, and the CPU time of each process then.
    before: Option<(Instant, HashMap<ProcessIdentity, u64>)>,
    /// What the kernel found shared with other processes.
    sharing: Option<Sharing>,
}

/// The part of this process's memory that others have too, as it was a while ago. The kernel looks at each page for it,
/// which takes milliseconds; it hardly changes while the process has as many pages of files.
struct Sharing {
    measured: Instant,
    /// Pages of files, in bytes.
    files: u64,
    /// What is not counted as ours of them.
    others: u64,
}

impl Sharing {
    /// So long it counts.
    const VALID: Duration = Duration::from_secs(60);

    fn holds(&self, files: u64) -> bool {
        self.measured.elapsed() < Self::VALID && self.files.abs_diff(files) <= self.files / 16
    }
}

impl UsageMeter {
    /// Prepares a meter; the first sample's CPU figures are zero or left out.
    pub fn new() -> Self {
        Self {
            system: System::new().ok(),
            samples: 0,
            before: None,
            sharing: None,
        }
    }

    /// Reads the figures; needs no thread of its own and does not wait.
    pub fn sample(&mut self) -> HostUsage {
        let own = std::process::id();
        let family = self.family(own);
        let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let mut usage = HostUsage {
            hostname: System::host_name().unwrap_or_default(),
            pid: own,
            kernel_cpu: self.cpu(&family),
            kernel_memory: match family.as_slice() {
                [_] => self.own_memory(own),
                _ => family.iter().filter_map(|pid| memory_of(*pid)).sum(),
            },
            host_cpu_percent: None,
            cpu_count: 0,
            host_virtual_memory: Memory::parse(&memory),
        };
        if let Some(system) = &mut self.system {
            system.refresh_cpu_usage();
            usage.cpu_count = system.cpus().len();
            let host = tenths(system.global_cpu_usage().into());
            usage.host_cpu_percent =
                Some(host).filter(|&percent| self.samples > 0 && percent > 0.0);
        }
        self.samples += 1;
        usage
    }

    /// This process and those below it. To look through all of the machine's takes longer than everything else.
    fn family(&mut self, own: u32) -> Vec<i32> {
        let first = own.cast_signed();
        if lists_children() {
            let others = descendants().into_iter().map(|(pid, _)| pid);
            return std::iter::once(first).chain(others).collect();
        }
        let Some(system) = &mut self.system else {
            return vec![first];
        };
        let parents = ProcessRefreshKind::nothing().without_tasks();
        system.refresh_processes_specifics(ProcessesToUpdate::All, true, parents);
        let below = below(system, Pid::from_u32(own)).into_iter();
        below.map(|(pid, _)| pid.as_u32().cast_signed()).collect()
    }

    /// Percent of one CPU that these processes have used since the last sample, of those that were there then.
    fn cpu(&mut self, family: &[i32]) -> f64 {
        let now = Instant::now();
        let times = family.iter().filter_map(|pid| times(*pid));
        let times: HashMap<ProcessIdentity, u64> = times.map(|(one, own, _)| (one, own)).collect();
        let Some((then, before)) = self.before.replace((now, times.clone())) else {
            return 0.0;
        };
        let used =
            |(one, time): (&ProcessIdentity, &u64)| Some(time.saturating_sub(*before.get(one)?));
        let used: u64 = times.iter().filter_map(used).sum();
        let passed = now.duration_since(then).as_nanos().max(1);
        tenths(100.0 * used as f64 / passed as f64)
    }

    /// The memory of this process, which shares nothing with children.
    fn own_memory(&mut self, own: u32) -> u64 {
        let Some((resident, files)) = resource_usage::pages() else {
            return 0;
        };
        if !self
            .sharing
            .as_ref()
            .is_some_and(|known| known.holds(files))
        {
            self.sharing = Rollup::read(Pid::from_u32(own)).map(|memory| Sharing {
                measured: Instant::now(),
                files,
                others: memory.rss.saturating_sub(memory.pss),
            });
        }
        let others = self.sharing.as_ref().map_or(0, |known| known.others);
        resident.saturating_sub(others)
    }
}

/// The memory of a process, where each page counts for its part if several share it; in full where that is not told us.
fn memory_of(pid: i32) -> Option<u64> {
    let shared = Rollup::read(Pid::from_u32(pid.cast_unsigned())).map(|memory| memory.pss);
    let in_full = || {
        let text = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
        let pages: u64 = text.split_ascii_whitespace().nth(1)?.parse().ok()?;
        Some(pages * rustix::param::page_size() as u64)
    };
    shared.or_else(in_full)
}

impl Default for UsageMeter {
    fn default() -> Self {
        Self::new()
    }
}

fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn memory_follows_psutil() {
        let memory = Memory::parse(
            "MemTotal: 1000 kB\nMemFree: 100 kB\nMemAvailable: 400 kB\nBuffers: 10 kB\nCached: 200 kB\n\
             SwapCached: 5 kB\nActive: 1 kB\nActive(anon): 9 kB\nInactive: 2 kB\nShmem: 3 kB\nSlab: 4 kB\n\
             SReclaimable: 50 kB\n",
        );
        assert_eq!(
            (memory.total, memory.available, memory.used),
            (1_024_000, 409_600, 614_400)
        );
        assert_eq!(
            (memory.cached, memory.active, memory.slab),
            (250 * 1024, 1024, 4096)
        );
        assert!((memory.percent - 60.0).abs() < f64::EPSILON);
        assert_eq!(Memory::parse(""), Memory::default());
    }

    #[test]
    fn a_child_counts_and_the_second_sample_knows_the_cpu() {
        let mut meter = UsageMeter::new();
        let alone = meter.sample();
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let own = std::process::id();
        let family = meter.family(own);
        drop(child.stdin.take());
        child.wait().unwrap();
        let holds = |pid: u32| family.contains(&pid.cast_signed());
        assert!(holds(own) && holds(child.id()) && !holds(1));
        assert_eq!(alone.host_cpu_percent, None);
        assert!(
            alone.kernel_memory > 100_000 && alone.kernel_memory < alone.host_virtual_memory.total
        );
        assert_eq!(alone.pid, std::process::id());
    }

    #[test]
    fn what_is_shared_is_measured_anew_where_files_came_or_went() {
        let mut meter = UsageMeter::new();
        let own = std::process::id();
        let first = meter.own_memory(own);
        let known = meter.sharing.take().unwrap();
        assert!(known.holds(known.files) && !known.holds(known.files * 2));
        let counted = Rollup::read(Pid::from_u32(own)).unwrap().pss;
        // Other tests of this process take memory meanwhile.
        assert!(first.abs_diff(counted) < counted / 2);
        meter.sharing = Some(Sharing {
            others: 4096,
            ..known
        });
        let (resident, _) = resource_usage::pages().unwrap();
        assert!(meter.own_memory(own).abs_diff(resident) < resident / 2);
        assert_eq!(meter.sharing.unwrap().others, 4096);
    }

    #[test]
    fn no_file_is_left_open() {
        let open = || {
            fs::read_dir("/proc/self/fd")
                .unwrap()
                .flatten()
                .filter_map(|fd| fs::read_link(fd.path()).ok())
        };
        UsageMeter::new().sample();
        // Other tests of this process open such files too, and close them again: ours would stay.
        let closed = |_| open().all(|file| !file.ends_with("stat"));
        assert!((0..100_000).any(closed));
    }

    #[test]
    fn the_reply_has_the_fields_of_ipykernel() {
        let mut usage = serde_json::to_value(UsageMeter::new().sample()).unwrap();
        let fields: Vec<String> = usage.as_object_mut().unwrap().keys().cloned().collect();
        let expected = [
            "hostname",
            "pid",
            "kernel_cpu",
            "kernel_memory",
            "cpu_count",
            "host_virtual_memory",
        ];
        assert_eq!(fields, expected);
    }
}
