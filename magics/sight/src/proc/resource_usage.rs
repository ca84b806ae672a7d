//! What this process has taken so far, cheap enough to be asked before and after every cell: memory, CPU time, page
//! faults, and the calling thread's mode of floating-point arithmetic.

use diaphane_forks::ForkOnce;
use std::fs::File;
use std::os::unix::fs::FileExt;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use nix::time::ClockId;
use serde::Serialize;

use crate::arch::float;

/// What was taken up to a moment. Two of them are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct ResourceUsage {
    /// Bytes in physical memory.
    pub rss: Option<u64>,
    /// Those of them that belong to no file.
    pub anonymous: Option<u64>,
    /// CPU time of all threads, in nanoseconds.
    pub cpu_ns: u64,
    /// Page faults that needed no disk.
    pub minor_faults: u64,
    /// Page faults that needed one.
    pub major_faults: u64,
    /// Whether subnormal numbers are taken for zero on the calling thread; `None` on CPUs without this question.
    pub flushes_subnormals: Option<bool>,
}

impl ResourceUsage {
    /// Asks the kernel and the CPU; it takes some ten microseconds.
    pub fn now() -> Self {
        let mut resources = Self {
            flushes_subnormals: Some(flushes_subnormals()),
            ..Self::default()
        };
        if let Some((resident, shared)) = pages() {
            resources.rss = Some(resident);
            resources.anonymous = Some(resident.saturating_sub(shared));
        }
        if let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) {
            let time = usage.user_time() + usage.system_time();
            let positive = |count: i64| u64::try_from(count).unwrap_or_default();
            resources.cpu_ns = positive(time.num_microseconds()) * 1000;
            resources.minor_faults = positive(usage.minor_page_faults());
            resources.major_faults = positive(usage.major_page_faults());
        }
        resources
    }
}

/// The most bytes that this process ever had in physical memory. `getrusage` would tell that of the program before, too,
/// which has started this one.
pub fn peak_rss() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}

/// Linux's monotonic clock, which Python has as `time.monotonic_ns`.
pub fn monotonic_ns() -> u64 {
    let now = ClockId::CLOCK_MONOTONIC.now();
    now.map_or(0, |now| now.num_nanoseconds().cast_unsigned())
}

/// The bytes of anonymous memory that lie in huge pages. The kernel walks all mappings for it: milliseconds.
pub fn huge() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("AnonHugePages:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// Resident bytes, and those that belong to files or are shared.
pub(super) fn pages() -> Option<(u64, u64)> {
    // Kept open: a read is a fraction of opening the file.
    static STATM: ForkOnce<Option<File>> = ForkOnce::new();
    let statm = STATM.get_or_init(|| File::open("/proc/self/statm").ok());
    let mut text = [0; 128];
    let length = statm.as_ref()?.read_at(&mut text, 0).ok()?;
    let text = std::str::from_utf8(&text[..length]).ok()?;
    let mut fields = text.split_ascii_whitespace().skip(1).map(str::parse::<u64>);
    let mut bytes = || Some(fields.next()?.ok()? * rustix::param::page_size() as u64);
    Some((bytes()?, bytes()?))
}

/// Whether one of the two settings is on by which subnormal numbers are lost.
pub fn flushes_subnormals() -> bool {
    let setting = float::subnormals();
    setting.flushed || setting.ignored
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_thread_computes_with_subnormals() {
        assert!(!flushes_subnormals());
    }
}
