//! What a process uses, also one that is another's: memory and CPU time.

use nix::sys::time::TimeValLike as _;
use nix::time::clock_getcpuclockid;
use nix::unistd::Pid;
use rustix::thread::sched_getaffinity;

use crate::error::read;
use crate::proc::target_process::TargetProcess;

/// What a process uses at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessUsage {
    /// Bytes in physical memory.
    pub rss: Option<u64>,
    /// CPU time of all its threads up to now, in nanoseconds.
    pub cpu_ns: u64,
    /// How many CPUs its main thread may run on.
    pub usable_cpus: Option<usize>,
}

impl ProcessUsage {
    /// Asks about a process; `None` where it has ended.
    #[must_use]
    pub fn of(pid: i32) -> Option<Self> {
        let target = TargetProcess::process(pid);
        // The number of a clock has no room for a number that no process can have: it would be another's.
        target.folder().is_dir().then_some(())?;
        let clock = clock_getcpuclockid(Pid::from_raw(pid)).ok()?;
        let cpu_ns = clock.now().ok()?.num_nanoseconds().cast_unsigned();
        let cpus = sched_getaffinity(rustix::process::Pid::from_raw(pid)).ok();
        Some(Self {
            rss: resident(target),
            cpu_ns,
            usable_cpus: cpus.map(|cpus| cpus.count() as usize),
        })
    }
}

fn resident(target: TargetProcess) -> Option<u64> {
    let text = read(target.folder().join("statm")).ok()?;
    let text = String::from_utf8_lossy(&text);
    let pages: u64 = text.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_the_process_itself_is_told() {
        let pid = std::process::id().cast_signed();
        let before = ProcessUsage::of(pid).unwrap();
        assert!(before.rss > Some(0) && before.usable_cpus > Some(0));
        let own = nix::time::ClockId::CLOCK_PROCESS_CPUTIME_ID.now().unwrap();
        let own = own.num_nanoseconds().cast_unsigned();
        assert!(before.cpu_ns <= own && own <= ProcessUsage::of(pid).unwrap().cpu_ns);
        assert_eq!(ProcessUsage::of(i32::MAX), None);
    }
}
