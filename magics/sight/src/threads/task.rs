//! The kernel's files about one thread.

use std::path::PathBuf;

use crate::error::read;
use crate::proc::target_process::TargetProcess;
use crate::proc::tasks::{Position, blocked_signals};
use crate::threads::Call;

/// A thread's files, by its number.
#[derive(Debug)]
pub struct Task {
    /// The kernel's number.
    pub tid: i32,
    target: TargetProcess,
    folder: PathBuf,
}

/// What `stat` says.
#[derive(Debug)]
pub(super) struct Stat {
    pub comm: String,
    pub state: char,
    pub ticks: u64,
    pub cpu: Option<u32>,
}

/// What `status` says, as far as the kernel writes it.
#[derive(Debug, Default)]
pub(super) struct Status {
    pub affinity: Option<String>,
    pub voluntary_switches: Option<u64>,
    pub involuntary_switches: Option<u64>,
    pub blocked_signals: Option<u64>,
}

/// What `syscall` says about a thread that sleeps.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sleep {
    pub call: Option<Call>,
    pub position: Position,
}

/// What `schedstat` says: two equal answers mean that the thread did not run in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Its time on a CPU in nanoseconds.
    pub cpu_ns: u64,
    /// How long it could have run and had no CPU, in nanoseconds.
    pub queued_ns: u64,
    /// How often it was given a CPU.
    pub times: u64,
}

impl Task {
    /// The files of a thread of this process, whether it is there or not.
    pub fn new(tid: i32) -> Self {
        Self::of(TargetProcess::OWN, tid)
    }

    /// The files of a thread, whether it is there or not.
    pub fn of(target: TargetProcess, tid: i32) -> Self {
        let folder = target.folder().join(format!("task/{tid}"));
        Self {
            tid,
            target,
            folder,
        }
    }

    /// Whose thread it is.
    pub fn target(&self) -> TargetProcess {
        self.target
    }

    /// Its name and its state, as the kernel writes them.
    pub fn name_and_state(&self) -> Option<(String, char)> {
        self.stat().map(|stat| (stat.comm, stat.state))
    }

    /// The number that the thread has for itself, which is another one in a container.
    pub fn inner_number(&self) -> Option<i32> {
        let text = self.text("status")?;
        let numbers = text
            .lines()
            .rev()
            .find_map(|line| line.strip_prefix("NSpid:"))?;
        numbers.split_ascii_whitespace().last()?.parse().ok()
    }

    fn text(&self, name: &str) -> Option<String> {
        Some(String::from_utf8_lossy(&read(self.folder.join(name)).ok()?).into_owned())
    }

    pub(super) fn stat(&self) -> Option<Stat> {
        Stat::parse(&self.text("stat")?)
    }

    pub(super) fn status(&self) -> Status {
        self.text("status")
            .as_deref()
            .map(Status::parse)
            .unwrap_or_default()
    }

    /// The signals that the thread blocks now, the first one in the lowest bit.
    pub fn blocked_signals(&self) -> Option<u64> {
        self.status().blocked_signals
    }

    pub(super) fn sleep(&self) -> Option<Sleep> {
        Sleep::parse(&self.text("syscall")?)
    }

    /// Where the thread sleeps; `None` while it runs.
    pub fn position(&self) -> Option<Position> {
        self.sleep().map(|sleep| sleep.position)
    }

    /// The system call in which the thread sleeps; `None` while it runs.
    pub fn call(&self) -> Option<Call> {
        self.sleep()?.call
    }

    /// How much and how often it has run, where the kernel counts that.
    pub fn run(&self) -> Option<Run> {
        let line = self.text("schedstat")?;
        let mut fields = line.split_ascii_whitespace();
        Some(Run {
            cpu_ns: fields.next()?.parse().ok()?,
            queued_ns: fields.next()?.parse().ok()?,
            times: fields.next()?.parse().ok()?,
        })
    }

    /// How long the thread has been on a CPU, up to this moment: what `schedstat` says of one that runs is some milliseconds
    /// old.
    pub fn cpu_ns(&self) -> Option<u64> {
        cpu_ns(self.tid)
    }

    pub(super) fn wait_channel(&self) -> Option<String> {
        self.text("wchan")
            .filter(|name| !name.is_empty() && name != "0")
    }
}

/// How long a thread has been on a CPU, up to this moment.
pub(super) fn cpu_ns(tid: i32) -> Option<u64> {
    /// A clock by the thread's number: of one thread, and of what the scheduler has counted.
    const OF_A_THREAD: i32 = 4 | 2;
    let clock = nix::time::ClockId::from_raw(!tid << 3 | OF_A_THREAD);
    let time = clock.now().ok()?;
    u64::try_from(nix::sys::time::TimeValLike::num_nanoseconds(&time)).ok()
}

/// The state of a thread by its `stat`, whose name may hold any character.
pub(super) fn state(line: &str) -> Option<char> {
    line.rsplit_once(") ")?.1.chars().next()
}

impl Stat {
    /// Parses `tid (comm) state ...`; the name may hold any character.
    fn parse(line: &str) -> Option<Self> {
        let (head, tail) = line.rsplit_once(") ")?;
        let fields: Vec<&str> = tail.split_ascii_whitespace().collect();
        let ticks = |index: usize| fields.get(index)?.parse::<u64>().ok();
        Some(Self {
            comm: head.split_once(" (")?.1.to_owned(),
            state: fields.first()?.chars().next()?,
            ticks: ticks(11)? + ticks(12)?,
            cpu: fields.get(36).and_then(|cpu| cpu.parse().ok()),
        })
    }
}

impl Status {
    /// Parses lines of `Key:\tvalue`; the thread's name stands in one of them, with its line feeds escaped.
    fn parse(text: &str) -> Self {
        let value = |key: &str| {
            let mut values = text
                .lines()
                .filter_map(|line| line.strip_prefix(key)?.strip_prefix(":\t"));
            values.next_back().map(str::trim)
        };
        Self {
            affinity: value("Cpus_allowed_list").map(str::to_owned),
            voluntary_switches: value("voluntary_ctxt_switches")
                .and_then(|count| count.parse().ok()),
            involuntary_switches: value("nonvoluntary_ctxt_switches")
                .and_then(|count| count.parse().ok()),
            blocked_signals: blocked_signals(text),
        }
    }
}

impl Sleep {
    /// Parses `number arguments... stack code`, or `-1 stack code` outside of a call; `running` has no answer.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let [number, arguments @ .., stack, code] = fields.as_slice() else {
            return None;
        };
        let hexadecimal = |field: &str| usize::from_str_radix(field.strip_prefix("0x")?, 16).ok();
        let call = number.parse::<usize>().ok().map(|number| Call {
            number,
            name: syscalls::Sysno::new(number).map(|call| call.name()),
            timed: arguments.get(3).is_some_and(|fourth| *fourth != "0x0"),
            first: arguments
                .first()
                .and_then(|first| hexadecimal(first))
                .unwrap_or(0),
        });
        let (stack, code) = (hexadecimal(stack)?, hexadecimal(code)?);
        Some(Self {
            call,
            position: Position { stack, code },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_names_with_brackets_and_spaces() {
        let tail =
            "S 1 1 1 0 -1 0 0 0 0 0 7 5 0 0 20 0 1 0 1 1 1 1 0 0 0 0 0 0 0 0 0 0 0 0 17 3 0 0 0";
        let stat = Stat::parse(&format!("42 (a) (b) c) {tail}")).unwrap();
        assert_eq!(
            (stat.comm.as_str(), stat.state, stat.ticks, stat.cpu),
            ("a) (b) c", 'S', 12, Some(3))
        );
        assert!(Stat::parse("42").is_none());
    }

    #[test]
    fn a_running_thread_has_no_stack_pointer() {
        assert!(Sleep::parse("running\n").is_none());
        let outside = Sleep::parse("-1 0x7ffc10 0x7f00\n").unwrap();
        assert_eq!((outside.call, outside.position.stack), (None, 0x7f_fc10));
        let number = syscalls::Sysno::futex as usize;
        let sleep = Sleep::parse(&format!(
            "{number} 0x1 0x2 0x3 0x4 0x5 0x6 0x7ffc10 0x7f00\n"
        ))
        .unwrap();
        let call = sleep.call.unwrap();
        assert_eq!(
            (call.name, call.first, sleep.position.code),
            (Some("futex"), 1, 0x7f00)
        );
    }

    #[test]
    fn a_name_cannot_pretend_to_be_another_line() {
        let status = Status::parse(
            "Name:\tx\\nSigBlk:\t1\nSigBlk:\t00000000000000ff\nCpus_allowed_list:\t0-1\nvoluntary_ctxt_switches:\t3\n",
        );
        assert_eq!(status.blocked_signals, Some(255));
        assert_eq!(status.affinity.as_deref(), Some("0-1"));
        assert_eq!(
            (status.voluntary_switches, status.involuntary_switches),
            (Some(3), None)
        );
    }
}
