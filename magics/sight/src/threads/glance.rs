//! The threads at a glance: what a live view asks every second, read without a list of libraries and of memory.

use crate::proc::tasks;
use crate::threads::Call;
use crate::threads::task::{Sleep, cpu_ns, state};

/// A thread at a glance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glance {
    /// The kernel's number.
    pub tid: i32,
    /// `R` running, `S` sleeping, `D` waiting for a disk, and so on.
    pub state: char,
    /// The time it has spent on a CPU, in nanoseconds.
    pub cpu_ns: u64,
    /// The system call it sleeps in.
    pub call: Option<Call>,
}

/// Looks at all threads, in the order of their numbers.
#[must_use]
pub fn glance() -> Vec<Glance> {
    let mut numbers = tasks::numbers();
    numbers.sort_unstable();
    numbers.into_iter().filter_map(one).collect()
}

fn one(tid: i32) -> Option<Glance> {
    let mut buffer = [0; 512];
    let state = state(tasks::text(tid, "stat", &mut buffer)?)?;
    let mut sleep = || Sleep::parse(tasks::text(tid, "syscall", &mut buffer)?)?.call;
    Some(Glance {
        tid,
        state,
        cpu_ns: cpu_ns(tid)?,
        call: matches!(state, 'S' | 'D').then(&mut sleep).flatten(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_thread_runs_and_has_used_time() {
        let own = rustix::thread::gettid().as_raw_nonzero().get();
        let find = || glance().into_iter().find(|one| one.tid == own).unwrap();
        let before = find();
        assert_eq!((before.state, before.call), ('R', None));
        assert!(before.cpu_ns > 0 && before.cpu_ns < find().cpu_ns);
        assert_eq!(one(i32::MAX), None);
    }
}
