//! The CPU time of the user's threads: not that of the kernel's own, which work for the recording.

use std::collections::HashMap;

use diaphane_sight::threads::tasks;

use crate::stacks::snapshot::is_kernels;

/// The time of each thread at a moment, in nanoseconds.
pub(super) struct CpuTimes {
    caller: i32,
    of: HashMap<i32, u64>,
}

impl CpuTimes {
    /// Now; `None` where the kernel does not tell.
    pub(super) fn now() -> Option<Self> {
        let users = tasks().ok()?.into_iter().filter_map(|task| {
            let (name, _) = task.name_and_state()?;
            let time = task.run()?.cpu_ns;
            (!is_kernels(&name)).then_some((task.tid, time))
        });
        Some(Self {
            caller: nix::unistd::gettid().as_raw(),
            of: users.collect(),
        })
    }

    /// What passed since: on the thread that asks, and on all others that are still there.
    pub(super) fn since(&self, before: &Self) -> (u64, u64) {
        let passed = |(tid, time): (&i32, &u64)| {
            let then = before.of.get(tid).copied().unwrap_or(0);
            (*tid == self.caller, time.saturating_sub(then))
        };
        let (mut here, mut elsewhere) = (0, 0);
        for (is_here, time) in self.of.iter().map(passed) {
            *(if is_here { &mut here } else { &mut elsewhere }) += time;
        }
        (here, elsewhere)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_computes_is_seen_and_the_kernels_is_not() {
        let spin = |name: &str, test: &dyn Fn(u64)| {
            let before = CpuTimes::now().unwrap();
            let (done, wait) = std::sync::mpsc::channel();
            let (go, ended) = std::sync::mpsc::channel::<()>();
            let thread = std::thread::Builder::new()
                .name(name.into())
                .spawn(move || {
                    let tid = nix::unistd::gettid().as_raw();
                    let task = diaphane_sight::threads::Task::new(tid);
                    while task.run().unwrap().cpu_ns < 20_000_000 {}
                    done.send(tid).unwrap();
                    let _ = ended.recv();
                });
            let tid = wait.recv().unwrap();
            let now = CpuTimes::now().unwrap();
            test(now.of.get(&tid).copied().unwrap_or(0));
            assert!(now.since(&before).1 >= now.of.get(&tid).copied().unwrap_or(0));
            drop(go);
            thread.unwrap().join().unwrap();
        };
        spin("worker", &|time| assert!(time >= 20_000_000));
        spin("diaphane-room", &|time| assert_eq!(time, 0));
    }
}
