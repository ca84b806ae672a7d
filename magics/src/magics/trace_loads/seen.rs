//! The system calls of the cell, as far as they open files or start processes.

use std::time::Duration;

use diaphane_sight::linker::libraries::LibraryKind;
use diaphane_trace::syscalls::{
    Call, RunningSyscalls, SyscallPlan, SyscallRecording, begin, call_ns,
};
use syscalls::Sysno;

use super::opens::{OpenAttempt, Source};
use crate::arch::system_calls::{FORK, OPEN, VFORK};
use crate::magics::trace_loads::snapshot::LoadsSnapshot;

/// The bytes of each thread's log; memory is taken as it is written.
const ROOM: usize = 256 << 20;

/// The system calls, seen while the cell runs, and what one of them costs more.
pub(super) struct Seeing(RunningSyscalls, Option<f64>);

/// What was seen.
pub(super) struct SeenEvents(SyscallRecording);

/// What was started.
#[derive(Debug, Clone, Copy)]
pub(super) struct Created {
    pub processes: usize,
    pub threads: usize,
}

impl Seeing {
    /// Begins, where the kernel sends system calls to the program.
    pub fn begin() -> Option<Self> {
        let plan = SyscallPlan {
            floor: 0,
            capacity: ROOM,
            only: Some(is_wanted),
            stacks: false,
            callback: None,
        };
        let call_ns = call_ns(plan);
        begin(plan).ok().map(|running| Self(running, call_ns))
    }

    pub fn end(self) -> SeenEvents {
        SeenEvents(SyscallRecording {
            call_ns: self.1,
            ..self.0.end()
        })
    }
}

/// Whether a call opens files or starts processes. It is asked in a signal handler.
fn is_wanted(number: i64) -> bool {
    let older = [OPEN, FORK, VFORK].into_iter().flatten();
    older.map(|call| call as i64).any(|call| call == number)
        || matches!(
            number,
            libc::SYS_openat | libc::SYS_clone | libc::SYS_clone3
        )
}

impl SeenEvents {
    /// The files that were opened, or tried. Those that the linker tries before one that it finds belong to that one.
    pub fn opens(&self, snapshot: &LoadsSnapshot) -> Vec<OpenAttempt> {
        let loader = snapshot
            .items
            .iter()
            .find(|item| item.facts.kind == LibraryKind::Loader);
        let loader = loader.map(|item| item.facts.span);
        let by_linker = |call: &Call| loader.is_some_and(|span| span.contains(call.registers.code));
        let mut opens: Vec<OpenAttempt> = Vec::new();
        for call in &self.0.calls {
            opens.extend(open(call, by_linker(call)));
        }
        let mut next = 0;
        for index in 0..opens.len() {
            if !opens[index].by_linker || opens[index].failed {
                continue;
            }
            let path = &opens[index].path;
            let library = snapshot
                .timeline
                .loaded
                .iter()
                .position(|one| one.path == *path);
            let name = path.rsplit('/').next().map(str::to_owned);
            for open in &mut opens[next..=index] {
                let is_try = open.by_linker && open.path.rsplit('/').next() == name.as_deref();
                if is_try && library.is_some() {
                    open.library = library;
                }
            }
            if library.is_some() {
                next = index + 1;
            }
        }
        opens
    }

    /// What the cell would have taken without this, on the thread that asks.
    pub fn plain(&self, elapsed: Duration) -> Option<Duration> {
        self.0.plain(elapsed, nix::unistd::gettid().as_raw())
    }

    /// How many processes and how many threads were started, but for those that children started.
    pub fn created(&self) -> Created {
        let calls = self.0.calls.iter().filter_map(starts_thread);
        let (threads, processes): (Vec<bool>, Vec<bool>) = calls.partition(|is_thread| *is_thread);
        Created {
            processes: processes.len(),
            threads: threads.len(),
        }
    }

    pub fn limits(&self) -> Vec<String> {
        let lost = (self.0.lost > 0)
            .then(|| format!("{} system calls found no room and are missing", self.0.lost));
        let left = (self.0.left_out > 0).then(|| {
            format!(
                "the system calls of {} threads are not seen, or not all",
                self.0.left_out
            )
        });
        lost.into_iter().chain(left).collect()
    }
}

/// A call that opens a file.
fn open(call: &Call, by_linker: bool) -> Option<OpenAttempt> {
    let (argument, flags, mode) = match sysno(call)? {
        Sysno::openat => (1, 2, 3),
        call if Some(call) == OPEN => (0, 1, 2),
        _ => return None,
    };
    let path = String::from_utf8_lossy(call.text(argument)?).into_owned();
    let path = path.trim_end_matches('\0').to_owned();
    let result = call.result.and_then(|result| i32::try_from(result).ok());
    let folder = (argument == 1).then(|| folder(call.arguments[0] as i32));
    let before = match folder {
        Some(folder) => format!("openat({folder}, "),
        None => "open(".to_owned(),
    };
    let flags = call.arguments[flags] as i32;
    let creates = flags & libc::O_CREAT != 0 || flags & libc::O_TMPFILE == libc::O_TMPFILE;
    let mode = creates.then(|| format!(", 0{:03o}", call.arguments[mode] & 0o7777));
    let behind = format!(", {}{})", flag_names(flags), mode.unwrap_or_default());
    Some(OpenAttempt {
        at: Some(call.began_ns),
        path,
        written: Some((before, behind)),
        result,
        failed: call.error().is_some(),
        took_ns: call.took_ns,
        by_linker,
        source: Source::Syscall,
        library: None,
    })
}

fn sysno(call: &Call) -> Option<Sysno> {
    Sysno::new(usize::try_from(call.number).ok()?)
}

fn folder(descriptor: i32) -> String {
    match descriptor {
        libc::AT_FDCWD => "AT_FDCWD".into(),
        other => other.to_string(),
    }
}

/// The flags of an open, in the order in which strace writes them.
fn flag_names(flags: i32) -> String {
    const NAMES: &[(i32, &str)] = &[
        (libc::O_CREAT, "O_CREAT"),
        (libc::O_EXCL, "O_EXCL"),
        (libc::O_NOCTTY, "O_NOCTTY"),
        (libc::O_TRUNC, "O_TRUNC"),
        (libc::O_APPEND, "O_APPEND"),
        (libc::O_NONBLOCK, "O_NONBLOCK"),
        (libc::O_SYNC, "O_SYNC"),
        (libc::O_DSYNC, "O_DSYNC"),
        (libc::O_DIRECT, "O_DIRECT"),
        (libc::O_NOFOLLOW, "O_NOFOLLOW"),
        (libc::O_NOATIME, "O_NOATIME"),
        (libc::O_CLOEXEC, "O_CLOEXEC"),
        (libc::O_PATH, "O_PATH"),
        (libc::O_TMPFILE, "O_TMPFILE"),
        (libc::O_DIRECTORY, "O_DIRECTORY"),
    ];
    let mut names = vec![match flags & libc::O_ACCMODE {
        libc::O_RDONLY => "O_RDONLY",
        libc::O_WRONLY => "O_WRONLY",
        _ => "O_RDWR",
    }];
    let mut rest = flags;
    for &(bits, name) in NAMES {
        if rest & bits == bits {
            names.push(name);
            rest &= !bits;
        }
    }
    names.join("|")
}

/// Whether a call that made something new made a thread, and not a process.
fn starts_thread(call: &Call) -> Option<bool> {
    call.result.filter(|result| *result > 0)?;
    let is_thread = |flags: usize| flags & libc::CLONE_THREAD as usize != 0;
    match sysno(call)? {
        Sysno::clone => Some(is_thread(call.arguments[0])),
        // Its flags are the first word of what the argument points to.
        Sysno::clone3 => {
            let flags = call.text(0)?.first_chunk::<8>()?;
            Some(is_thread(u64::from_le_bytes(*flags) as usize))
        }
        call if [FORK, VFORK].contains(&Some(call)) => Some(false),
        _ => None,
    }
}
