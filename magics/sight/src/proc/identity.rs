//! Who a process is to the system: its name, its user, and who may look at it.

use std::fs;

use crate::proc::target_process::TargetProcess;

/// What `status` says about a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The process; the number that was asked about may be that of one of its threads.
    pub pid: i32,
    /// Its name, at most fifteen bytes.
    pub name: Option<String>,
    /// The user that it runs as.
    pub user: Option<u32>,
    /// The process that traces it.
    pub tracer: Option<i32>,
}

impl Identity {
    /// Asks about a process, or about the one that a thread belongs to; `None` where there is none of this number.
    #[must_use]
    pub fn of(number: i32) -> Option<Self> {
        let folder = TargetProcess::process(number).folder();
        let status = fs::read_to_string(folder.join("status")).ok();
        Some(Self::parse(&status.filter(|_| number > 0)?, number))
    }

    fn parse(status: &str, number: i32) -> Self {
        let field = |key: &str| {
            let mut lines = status.lines();
            let value = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(":\t"))?;
            value.split('\t').next()
        };
        let tracer = field("TracerPid").and_then(|tracer| tracer.parse().ok());
        Self {
            pid: field("Tgid")
                .and_then(|pid| pid.parse().ok())
                .unwrap_or(number),
            name: field("Name").map(str::to_owned),
            user: field("Uid").and_then(|user| user.parse().ok()),
            tracer: tracer.filter(|&tracer| tracer > 0),
        }
    }
}

/// When a process began, in ticks since the system did; `None` where none of this number runs any more.
#[must_use]
pub fn started_at(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(TargetProcess::process(pid).folder().join("stat")).ok()?;
    // The name stands in brackets, and may hold any.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let runs = fields.next().is_some_and(|state| !"ZX".contains(state));
    fields.nth(18)?.parse().ok().filter(|_| runs)
}

/// What `kernel.yama.ptrace_scope` says: from 1 on, only a parent may look at a process. `None` where the system has no
/// such restriction.
#[must_use]
pub fn ptrace_scope() -> Option<String> {
    let scope = fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").ok()?;
    Some(scope.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_leads_to_its_process() {
        let own = std::process::id().cast_signed();
        let found = std::thread::spawn(|| {
            Identity::of(rustix::thread::gettid().as_raw_nonzero().get()).unwrap()
        });
        let found = found.join().unwrap();
        assert_eq!(found.pid, own);
        assert_eq!(found.user, Some(rustix::process::geteuid().as_raw()));
        assert_eq!((Identity::of(0), Identity::of(i32::MAX)), (None, None));
    }

    #[test]
    fn who_traces_it_is_known() {
        let status = "Name:\tx\\ny\nTgid:\t7\nTracerPid:\t9\nUid:\t5\t6\t6\t6\n";
        let found = Identity::parse(status, 8);
        assert_eq!((found.pid, found.tracer, found.user), (7, Some(9), Some(5)));
        assert_eq!(found.name.as_deref(), Some("x\\ny"));
    }
}
