//! The threads of this process: what each waits for, what it has used, and which library's code it runs.
//!
//! The owner of a sleeping thread is found from its stack: the outermost word that points into the code of a library
//! other than the C and C++ runtimes is, on glibc, the function the thread was started with.
//! A running thread shows no stack pointer: for it, that function is read from the C library's descriptor of the thread.
//! No thread is stopped or signalled.

use std::cell::LazyCell;
use std::collections::HashMap;
use std::fs;

use serde::Serialize;

use crate::descriptors::descriptors;
use crate::libs::{Kind, Library};
use crate::maps::Maps;
use crate::spans::{Span, bytes};
use crate::{Result, read};

/// How an owner was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// From the words on the thread's stack; a stale word could mislead.
    Scan,
}

/// Whose code a thread runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Owner {
    /// The index of the library in the list that was given.
    pub library: usize,
    /// The word on the stack.
    pub code: usize,
    /// How it was found.
    pub confidence: Confidence,
}

/// The system call in which a thread sleeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Call {
    /// Its number on this machine.
    pub number: usize,
    /// Its name, if the number has one.
    pub name: Option<&'static str>,
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
    /// The system call it sleeps in.
    pub call: Option<Call>,
    /// The kernel's function it sleeps in, if the kernel tells.
    pub wait_channel: Option<String>,
    /// Whose code it runs.
    pub owner: Option<Owner>,
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
    let tasks = fs::read_dir("/proc/self/task");
    let tasks = tasks.map_err(|source| crate::Error::Read {
        path: "/proc/self/task".into(),
        source,
    })?;
    let stacks = Stacks {
        libraries,
        maps,
        descriptors: LazyCell::new(|| descriptors(maps)),
    };
    for task in tasks.flatten() {
        match thread(&task.path(), &stacks) {
            Some(thread) => found.threads.push(thread),
            None => found.vanished += 1,
        }
    }
    found.threads.sort_unstable_by_key(|thread| thread.tid);
    Ok(found)
}

/// What is needed to find the owners of threads.
struct Stacks<'a, F: FnOnce() -> HashMap<i32, usize>> {
    libraries: &'a [Library],
    maps: &'a Maps,
    descriptors: LazyCell<HashMap<i32, usize>, F>,
}

fn thread<F>(task: &std::path::Path, stacks: &Stacks<'_, F>) -> Option<Thread>
where
    F: FnOnce() -> HashMap<i32, usize>,
{
    let text =
        |name: &str| Some(String::from_utf8_lossy(&read(task.join(name)).ok()?).into_owned());
    let stat = Stat::parse(&text("stat")?)?;
    let tid = task.file_name()?.to_str()?.parse().ok()?;
    // The thread that asks sleeps in nothing but its own question.
    let asks = tid == rustix::thread::gettid().as_raw_nonzero().get();
    let sleep = text("syscall")
        .filter(|_| !asks)
        .and_then(|line| Sleep::parse(&line));
    // With schedstat the kernel counts nanoseconds, without it clock ticks.
    let precise = text("schedstat").and_then(|line| line.split(' ').next()?.parse().ok());
    let wait = text("wchan").filter(|name| !name.is_empty() && name != "0");
    Some(Thread {
        tid,
        comm: stat.comm,
        state: stat.state,
        cpu_ns: precise.or_else(|| {
            stat.ticks
                .checked_mul(1_000_000_000 / rustix::param::clock_ticks_per_second())
        }),
        last_cpu: stat.cpu,
        owner: sleep
            .as_ref()
            .map(|sleep| sleep.stack)
            .or_else(|| stacks.descriptors.get(&tid).copied())
            .filter(|_| !asks)
            .and_then(|stack| owner(stack, stacks.libraries, stacks.maps)),
        call: sleep.and_then(|sleep| sleep.call),
        wait_channel: wait,
    })
}

/// What `/proc/.../stat` says.
struct Stat {
    comm: String,
    state: char,
    ticks: u64,
    cpu: Option<u32>,
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

/// What `/proc/.../syscall` says about a thread that sleeps.
struct Sleep {
    call: Option<Call>,
    stack: usize,
}

impl Sleep {
    /// Parses `number arguments... stack code`, or `-1 stack code` outside of a call; `running` has no answer.
    fn parse(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let [number, .., stack, _code] = fields.as_slice() else {
            return None;
        };
        let number = number.parse::<usize>().ok();
        let name = |number| syscalls::Sysno::new(number).map(|call| call.name());
        Some(Self {
            call: number.map(|number| Call {
                number,
                name: name(number),
            }),
            stack: usize::from_str_radix(stack.strip_prefix("0x")?, 16).ok()?,
        })
    }
}

/// Libraries through which every thread starts, whoever asked for it.
const RUNTIMES: &[&str] = &[
    "libc.",
    "libc-",
    "libpthread",
    "libstdc++",
    "libc++",
    "libgcc_s",
    "ld-musl",
];

/// How much of a stack's outer end is looked at.
const OUTER_END: usize = 256 * 1024;

/// Finds the owner of the thread whose stack pointer is given.
fn owner(stack: usize, libraries: &[Library], maps: &Maps) -> Option<Owner> {
    let region = maps.find(stack)?.span;
    let outer = Span::new(stack.max(region.end.saturating_sub(OUTER_END)), region.end);
    let aligned = outer.start.next_multiple_of(size_of::<usize>());
    let words = bytes(aligned, outer.end.saturating_sub(aligned));
    let (words, _) = words.as_chunks::<{ size_of::<usize>() }>();
    let code = Code::of(libraries);
    words
        .iter()
        .rev()
        .map(|word| usize::from_ne_bytes(*word))
        .find_map(|address| {
            let library = code.library(address)?;
            Some(Owner {
                library,
                code: address,
                confidence: Confidence::Scan,
            })
        })
}

/// The executable segments of the libraries that can own a thread, ordered by address.
struct Code(Vec<(Span, usize)>);

impl Code {
    fn of(libraries: &[Library]) -> Self {
        let may_own = |library: &Library| {
            !matches!(library.kind, Kind::Loader | Kind::Vdso)
                && !RUNTIMES
                    .iter()
                    .any(|runtime| library.name.starts_with(runtime))
        };
        let owners = libraries
            .iter()
            .enumerate()
            .filter(|(_, library)| may_own(library));
        let mut spans: Vec<_> = owners
            .flat_map(|(index, library)| {
                let code = library
                    .segments
                    .iter()
                    .filter(|segment| segment.perms.contains('x'));
                code.map(move |segment| (segment.span, index))
            })
            .collect();
        spans.sort_unstable();
        Self(spans)
    }

    fn library(&self, address: usize) -> Option<usize> {
        let after = self.0.partition_point(|(span, _)| span.start <= address);
        self.0[..after]
            .last()
            .filter(|(span, _)| span.contains(address))
            .map(|&(_, library)| library)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::libs;

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
        assert_eq!((outside.call, outside.stack), (None, 0x7f_fc10));
        let number = syscalls::Sysno::futex as usize;
        let sleep = Sleep::parse(&format!(
            "{number} 0x1 0x2 0x3 0x4 0x5 0x6 0x7ffc10 0x7f00\n"
        ))
        .unwrap();
        assert_eq!(sleep.call.unwrap().name, Some("futex"));
    }

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
            let libraries = libs::loaded(&maps).unwrap();
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
        let found = (0..100_000).find_map(ask).unwrap();
        drop(finish);
        worker.unwrap().join().unwrap();
        assert_eq!(found.1, Kind::Program);
        assert_eq!(found.0.call.unwrap().name, Some("futex"));
        assert_eq!(found.0.state, 'S');
    }
}
