//! The threads of this process: what each waits for, what it has used, and which library's code it runs.
//!
//! Everything is read from the kernel's files and from memory; no thread is stopped or signalled (`stacks` may).

pub mod creation_records;
mod glance;
mod main_thread;
mod own_threads;
mod owners;
pub mod running_cells;
mod task;

use std::collections::HashMap;
use std::fs;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::linker::libraries::Library;
use crate::proc::maps::Maps;
use crate::proc::target_process::TargetProcess;
pub use crate::proc::tasks::Position;
use crate::threads::creation_records::{CreationRecord, creation_records};

pub use glance::{Glance, glance};
pub use main_thread::passed_to_main_thread;
pub use own_threads::{OwnThread, add_own_thread, is_own_thread};
pub use owners::{Confidence, Owner};
pub use task::{Run, Task};

use owners::Owners;

/// The system call in which a thread sleeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Call {
    /// Its number on this machine.
    pub number: usize,
    /// Its name, if the number has one.
    pub name: Option<&'static str>,
    /// Its first argument: for a futex, the address that is waited on.
    pub first: usize,
    /// Whether its fourth argument, for a futex the time to wait at most, is set.
    pub timed: bool,
}

impl Call {
    /// Whether Linux begins it again after a signal whose handler has `SA_RESTART`, as signal(7) lists them.
    /// What depends on the descriptor (a read of a socket with a timeout ends early) counts as one that ends.
    pub fn is_restarted(&self) -> bool {
        match self.name {
            Some("futex") => !self.timed,
            Some("wait4" | "waitid") => true,
            _ => false,
        }
    }
}

/// One thread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Thread {
    /// The kernel's number.
    pub tid: i32,
    /// The kernel's name, of at most 15 bytes.
    pub comm: String,
    /// `R` running, `S` sleeping, `D` waiting for a disk, and so on.
    pub state: char,
    /// The time it has spent on a CPU, in nanoseconds.
    pub cpu_ns: Option<u64>,
    /// The CPU it ran on last.
    pub last_cpu: Option<u32>,
    /// The CPUs that it may run on, as the kernel writes a list.
    pub affinity: Option<String>,
    /// How often it left a CPU because it had to wait.
    pub voluntary_switches: Option<u64>,
    /// How often it was taken off a CPU.
    pub involuntary_switches: Option<u64>,
    /// The signals that it blocks, the lowest bit for signal 1.
    pub blocked_signals: Option<u64>,
    /// The system call it sleeps in.
    pub call: Option<Call>,
    /// Where it sleeps.
    pub position: Option<Position>,
    /// The kernel's function it sleeps in, if the kernel tells.
    pub wait_channel: Option<String>,
    /// Whose code it runs.
    pub owner: Option<Owner>,
    /// How it came to be, where that was seen.
    #[serde(skip)]
    pub creation: Option<CreationRecord>,
}

/// What was found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Threads {
    /// The threads, in the order of their numbers.
    pub threads: Vec<Thread>,
    /// How many ended while they were read.
    pub vanished: usize,
}

/// Lists the threads.
pub fn threads(libraries: &[Library], maps: &Maps) -> Result<Threads> {
    let mut found = Threads::default();
    let records: HashMap<i32, CreationRecord> = creation_records()
        .into_iter()
        .map(|record| (record.tid, record))
        .collect();
    let owners = Owners::new(libraries, maps);
    for task in tasks()? {
        match thread(&task, &records, &owners) {
            Some(thread) => found.threads.push(thread),
            None => found.vanished += 1,
        }
    }
    found.threads.sort_unstable_by_key(|thread| thread.tid);
    Ok(found)
}

/// The files of every thread of this process.
pub fn tasks() -> Result<Vec<Task>> {
    tasks_of(TargetProcess::OWN)
}

/// The files of every thread.
pub fn tasks_of(target: TargetProcess) -> Result<Vec<Task>> {
    let folder = target.folder().join("task");
    let tasks = fs::read_dir(&folder).map_err(|source| Error::Read {
        path: folder,
        source,
    })?;
    let numbers = tasks
        .flatten()
        .filter_map(|task| task.file_name().to_str()?.parse().ok());
    Ok(numbers.map(|tid| Task::of(target, tid)).collect())
}

fn thread(
    task: &Task,
    records: &HashMap<i32, CreationRecord>,
    owners: &Owners<'_>,
) -> Option<Thread> {
    let stat = task.stat()?;
    let status = task.status();
    // The thread that asks sleeps in nothing but its own question.
    let asks = task.tid == rustix::thread::gettid().as_raw_nonzero().get();
    let sleep = task.sleep().filter(|_| !asks);
    let creation = records.get(&task.tid).copied();
    let position = sleep.as_ref().map(|sleep| sleep.position);
    Some(Thread {
        tid: task.tid,
        comm: stat.comm,
        state: stat.state,
        cpu_ns: task.run().map(|run| run.cpu_ns).or_else(|| {
            // Without schedstat the kernel counts clock ticks and not nanoseconds.
            stat.ticks
                .checked_mul(1_000_000_000 / rustix::param::clock_ticks_per_second())
        }),
        last_cpu: stat.cpu,
        affinity: status.affinity,
        voluntary_switches: status.voluntary_switches,
        involuntary_switches: status.involuntary_switches,
        blocked_signals: status.blocked_signals,
        // The main thread was not started by anybody here.
        owner: (!asks)
            .then(|| owners.find(task.tid, creation.as_ref(), position))
            .flatten(),
        call: sleep.and_then(|sleep| sleep.call),
        position,
        wait_channel: task.wait_channel(),
        creation,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::linker::libraries;
    use crate::linker::libraries::LibraryKind;

    #[test]
    fn a_thread_of_this_program_is_owned_by_it() {
        let (finish, finished) = mpsc::channel::<()>();
        let (ready, is_ready) = mpsc::channel();
        let worker = std::thread::Builder::new()
            .name("sight-worker".into())
            .spawn(move || {
                ready.send(()).unwrap();
                let _ = finished.recv();
            });
        is_ready.recv().unwrap();
        // The worker says that it is ready just before it sleeps, so it is asked until it does.
        let ask = |_| {
            let maps = Maps::read().unwrap();
            let libraries = libraries::loaded(&maps).unwrap();
            let found = threads(&libraries, &maps).unwrap();
            let thread = found
                .threads
                .into_iter()
                .find(|thread| thread.comm == "sight-worker")
                .unwrap();
            std::thread::yield_now();
            thread.call.as_ref()?;
            let owner = thread.owner.clone()?;
            Some((thread, libraries[owner.library].kind))
        };
        let (thread, kind) = (0..100_000).find_map(ask).unwrap();
        drop(finish);
        worker.unwrap().join().unwrap();
        assert_eq!(kind, LibraryKind::Program);
        assert_eq!(thread.call.unwrap().name, Some("futex"));
        assert_eq!(thread.state, 'S');
        let symbol = thread.owner.unwrap().symbol.unwrap();
        assert!(symbol.contains("thread"), "{symbol}");
        assert!(thread.voluntary_switches.unwrap() > 0);
        assert_eq!(thread.blocked_signals, Some(0));
    }
}
