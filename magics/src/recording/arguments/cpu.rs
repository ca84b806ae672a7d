//! The CPU time of the user's threads: not that of the kernel's own, which work for the recording.

use std::collections::HashMap;

use diaphane_sight::threads::{is_own_thread, tasks};

/// The time of each thread at a moment, in nanoseconds.
pub(super) struct CpuTimes {
    caller: i32,
    of: HashMap<i32, u64>,
}

impl CpuTimes {
    /// Now; `None` where the kernel does not tell.
    pub(super) fn now() -> Option<Self> {
        let users = tasks().ok()?.into_iter().filter_map(|task| {
            let time = task.run()?.cpu_ns;
            (!is_own_thread(task.tid)).then_some((task.tid, time))
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
    use diaphane_sight::threads::OwnThread;

    use super::*;

    #[test]
    fn a_thread_that_computes_is_seen_and_the_kernels_is_not() {
        let spin = |is_own: bool, test: &dyn Fn(u64)| {
            let before = CpuTimes::now().unwrap();
            let (done, wait) = std::sync::mpsc::channel();
            let (go, ended) = std::sync::mpsc::channel::<()>();
            let thread = std::thread::spawn(move || {
                let _own = is_own.then(OwnThread::begin);
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
            thread.join().unwrap();
        };
        spin(false, &|time| assert!(time >= 20_000_000));
        spin(true, &|time| assert_eq!(time, 0));
    }
}
