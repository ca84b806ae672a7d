//! The stacks of another process: of its sleeping threads they are copied as they are, of those that run after these
//! were stopped for that moment.

use std::time::Duration;

use super::asleep::{copied, snapshot_with};
use super::stopped::Stopped;
use super::{Missing, Registers, Snapshot, Stack, Unwinder};
use crate::linker::libraries::Library;
use crate::proc::maps::Maps;
use crate::threads::Task;

/// How often a thread may be seen awake before it is stopped.
const LOOKS: usize = 3;

/// What was seen of a thread.
#[derive(Debug)]
pub struct Seen {
    /// Its stack, with what was noted while it stood still.
    pub stack: Result<Stack, Missing>,
    /// How long it was stopped, if it was.
    pub stopped: Option<Duration>,
}

/// How threads of another process are looked at.
#[derive(Debug, Clone, Copy, Default)]
pub struct Manner {
    /// Whether one that runs may be stopped.
    pub may_stop: bool,
    /// A thread that stands in a signal handler, with the registers at the place that the signal interrupted.
    pub interrupted: Option<(i32, Registers)>,
}

/// Takes the stacks of threads of another process, in their order. All are copied before the first one is followed.
///
/// Nothing that sleeps is stopped, since some system calls would end early; nothing that runs is, unless that is
/// allowed.
pub fn of_process(
    tasks: &[Task],
    libraries: &[Library],
    maps: &Maps,
    manner: Manner,
    note: &dyn Fn(&Task) -> Vec<usize>,
) -> Vec<Seen> {
    let copy = |task: &Task| {
        if let Some((_, registers)) = manner.interrupted.filter(|(tid, _)| *tid == task.tid) {
            let copy = copied(task, maps, registers).map(|mut copy| {
                copy.noted = note(task);
                copy
            });
            return (copy.ok_or(Missing::Gone), None);
        }
        let asleep = || snapshot_with(task, maps, || note(task));
        match (0..LOOKS).find_map(|_| asleep()) {
            Some(copy) => (Ok(copy), None),
            None if manner.may_stop => match stopped(task, maps, note) {
                Ok((copy, time)) => (Ok(copy), Some(time)),
                Err(missing) => (Err(missing), None),
            },
            None => (Err(Missing::Runs), None),
        }
    };
    let copies: Vec<_> = tasks.iter().map(copy).collect();
    let mut unwinder = Unwinder::new(libraries);
    let follow = |(copy, stopped): (Result<Snapshot, Missing>, _)| Seen {
        stack: copy.map(|copy| unwinder.unwind(copy)),
        stopped,
    };
    copies.into_iter().map(follow).collect()
}

fn stopped(
    task: &Task,
    maps: &Maps,
    note: &dyn Fn(&Task) -> Vec<usize>,
) -> Result<(Snapshot, Duration), Missing> {
    let stopped = Stopped::stop(task.tid)?;
    let registers = stopped.registers().ok_or(Missing::Gone)?;
    let copy = copied(task, maps, registers);
    let noted = note(task);
    let time = stopped.resume();
    let mut copy = copy.ok_or(Missing::Gone)?;
    copy.noted = noted;
    Ok((copy, time))
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;
    use crate::code::symbols::place;
    use crate::linker::libraries::loaded_by;
    use crate::proc::target_process::TargetProcess;
    use crate::threads::tasks_of;

    /// A process that ends with the test.
    struct Running(Child);

    impl Running {
        fn of(program: &str, arguments: &[&str]) -> Self {
            let mut command = Command::new(program);
            command
                .args(arguments)
                .stdin(Stdio::piped())
                .stdout(Stdio::null());
            Self(command.spawn().unwrap())
        }

        fn seen(&self) -> (Vec<String>, Seen) {
            let target = TargetProcess::process(self.0.id().cast_signed());
            let maps = Maps::of(target).unwrap();
            let libraries = loaded_by(target, &maps);
            let tasks = tasks_of(target).unwrap();
            let manner = Manner {
                may_stop: true,
                interrupted: None,
            };
            let note = |task: &Task| vec![task.tid.cast_unsigned() as usize];
            let seen = of_process(&tasks, &libraries, &maps, manner, &note).remove(0);
            let frames = seen.stack.as_ref().map(|stack| stack.frames.as_slice());
            let name = |address| place(address, &libraries)?.symbol;
            let names = frames.unwrap_or_default().iter();
            let names = names.filter_map(|frame| Some(name(frame.lookup)?.name));
            (names.collect(), seen)
        }

        fn tracer(&self) -> String {
            let path = format!("/proc/{}/status", self.0.id());
            let status = std::fs::read_to_string(path).unwrap();
            let tracer = status.lines().find(|line| line.starts_with("TracerPid:"));
            tracer.unwrap().to_owned()
        }
    }

    impl Drop for Running {
        fn drop(&mut self) {
            self.0.kill().unwrap();
            self.0.wait().unwrap();
        }
    }

    #[test]
    fn a_process_that_sleeps_is_not_stopped() {
        let cat = Running::of("/bin/cat", &[]);
        // While it begins it waits for its file, too.
        let reads = |names: &[String]| names.iter().any(|name| name.contains("read"));
        let asleep =
            |_| Some(cat.seen()).filter(|(names, seen)| seen.stopped.is_none() && reads(names));
        let (names, seen) = (0..10_000).find_map(asleep).unwrap();
        let stack = seen.stack.unwrap();
        assert_eq!(stack.noted, [cat.0.id() as usize]);
        assert!(stack.complete, "{names:?}");
    }

    #[test]
    fn a_process_that_runs_is_stopped_and_goes_on() {
        let shell = Running::of("/bin/sh", &["-c", "while :; do :; done"]);
        let running = |_| Some(shell.seen()).filter(|(_, seen)| seen.stopped.is_some());
        let (_, seen) = (0..10_000).find_map(running).unwrap();
        let stack = seen.stack.unwrap();
        assert!(!stack.frames.is_empty());
        assert_eq!(stack.noted, [shell.0.id() as usize]);
        assert_eq!(shell.tracer(), "TracerPid:\t0");
        let task = Task::of(
            TargetProcess::process(shell.0.id().cast_signed()),
            shell.0.id().cast_signed(),
        );
        // It runs, or waits for a page of its own.
        let state = task.name_and_state().unwrap().1;
        assert!(!"tT".contains(state), "{state}");
    }

    #[test]
    fn who_is_gone_has_no_stack() {
        assert!(matches!(Stopped::stop(i32::MAX), Err(Missing::Gone)));
    }
}
