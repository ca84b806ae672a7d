//! The machine and what this process uses of it, for reports and for Jupyter's `usage_request`.
//!
//! The figures of `HostUsage` mean what ipykernel's mean, since front ends show them side by side; those come from psutil,
//! whose definitions of "used", "cached" and "percent" are followed here.

use std::fs;

use serde::Serialize;
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

use crate::proc::processes::{Rollup, below};

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
}

impl UsageMeter {
    /// Prepares a meter; the first sample's CPU figures are zero or left out.
    pub fn new() -> Self {
        Self {
            system: System::new().ok(),
            samples: 0,
        }
    }

    /// Reads the figures; needs no thread of its own and does not wait.
    pub fn sample(&mut self) -> HostUsage {
        let own = std::process::id();
        let kind = ProcessRefreshKind::nothing()
            .with_cpu()
            .with_memory()
            .without_tasks();
        let mut usage = HostUsage {
            hostname: System::host_name().unwrap_or_default(),
            pid: own,
            kernel_cpu: 0.0,
            kernel_memory: 0,
            host_cpu_percent: None,
            cpu_count: 0,
            host_virtual_memory: Memory::parse(
                &fs::read_to_string("/proc/meminfo").unwrap_or_default(),
            ),
        };
        if let Some(system) = &mut self.system {
            system.refresh_cpu_usage();
            system.refresh_processes_specifics(ProcessesToUpdate::All, true, kind);
            usage.cpu_count = system.cpus().len();
            let host = tenths(system.global_cpu_usage().into());
            usage.host_cpu_percent =
                Some(host).filter(|&percent| self.samples > 0 && percent > 0.0);
            for (pid, _) in below(system, Pid::from_u32(own)) {
                let Some(process) = system.process(pid) else {
                    continue;
                };
                usage.kernel_cpu += tenths(process.cpu_usage().into());
                usage.kernel_memory +=
                    Rollup::read(pid).map_or_else(|| process.memory(), |memory| memory.pss);
            }
        }
        self.samples += 1;
        usage
    }
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
        let family = {
            meter.sample();
            below(
                meter.system.as_ref().unwrap(),
                Pid::from_u32(std::process::id()),
            )
        };
        drop(child.stdin.take());
        child.wait().unwrap();
        let holds = |pid| family.iter().any(|(one, _)| *one == Pid::from_u32(pid));
        assert!(holds(child.id()) && !holds(1));
        assert_eq!(alone.host_cpu_percent, None);
        assert!(
            alone.kernel_memory > 100_000 && alone.kernel_memory < alone.host_virtual_memory.total
        );
        assert_eq!(alone.pid, std::process::id());
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
