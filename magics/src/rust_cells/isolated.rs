//! `--isolated`: a cell runs in a fork of the kernel, which has all arrays at the same addresses. What it changes and hands
//! over counts only if it finishes; whatever else it does ends with its process.

#![allow(unsafe_code, reason = "the kernel forks, and a process shares memory")]

mod child;
mod payload;
mod status_page;

use std::fs::File;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::time::Instant;

use diaphane_cell::abi::{Ctx, DONE, Entry, Host};
use diaphane_sight::unwind::all_but_faults;
use nix::sys::signal::SigmaskHow;
use nix::unistd::{ForkResult, fork};
use pyo3::prelude::*;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, WaitStatus, kill_process, kill_process_group, pidfd_open,
    setpgid, waitpid,
};

use super::nanoseconds;
use super::run::{Done, Ended};
use crate::error::Error;
use crate::rust_cells::export::Exports;
use crate::rust_cells::isolated::status_page::{Phase, StatusPage};
use crate::rust_cells::results::{CellResults, HOST};
use child::Task;

pub use crate::rust_cells::isolated::status_page::SharedMemory;

/// What a child's handlers stand on when the thread's own stack is used up.
const STACK: usize = 64 << 10;
/// So long a look at a child lasts, after which it is asked whether the user has interrupted.
const TIMEOUT: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 50_000_000,
};
/// The same where the system has no descriptors for processes.
const SHORT_TIMEOUT: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 2_000_000,
};

/// The functions of the host, at an address.
static CALLS: Host = Host {
    fail: child::fail,
    ..HOST
};

/// Runs one of the functions of a cell's library in a child.
pub fn run(
    entry: Entry,
    last_words: Entry,
    exports: &Exports<'_>,
    py: Python<'_>,
) -> Result<Done, Error> {
    let began = Instant::now();
    let copies = exports.isolated_copies()?;
    let args = exports.args_with(&copies);
    let memory = SharedMemory::new(size_of::<StatusPage>())?;
    let status_page = StatusPage::on(&memory);
    let payload = memfd_create("rust-results", MemfdFlags::CLOEXEC)
        .map_err(|error| unable("has no memory for results", error))?;
    let mut taken = CellResults::default();
    let context = taken.context(&args, &CALLS);
    // What C has not written yet would be written twice.
    py.detach(diaphane_sight::runtimes::stdio::flush);
    let mut stack = Box::new_uninit_slice(STACK);
    let entries = (entry, last_words);
    let mut child = begin(entries, &context, &taken, status_page, &payload, &mut stack)?;
    let fork_ns = nanoseconds(began);
    let status = loop {
        let looked = py.detach(|| child.wait());
        if let Some(status) = looked {
            break status;
        }
        // An interrupt ends the child at once: dropping it does.
        py.check_signals()?;
    };
    let began = Instant::now();
    let (status, taken) = ending(status_page, status, payload)?;
    if status == Ok(DONE) {
        exports.copy_back(&copies);
    }
    Ok(Done {
        status,
        taken,
        run_ns: status_page.run_ns(),
        fork_ns: Some(fork_ns),
        back_ns: Some(nanoseconds(began)),
    })
}

/// Forks. The GIL is held, so that no thread of Python's is loading a library meanwhile.
fn begin(
    (entry, last_words): (Entry, Entry),
    context: &Ctx,
    taken: *const CellResults,
    status_page: &StatusPage,
    payload: &OwnedFd,
    stack: &mut [MaybeUninit<u8>],
) -> Result<Child, Error> {
    let parent = nix::unistd::getpid().as_raw();
    // No handler of Python's may run in the child.
    let before = all_but_faults()
        .thread_swap_mask(SigmaskHow::SIG_BLOCK)
        .map_err(|error| unable("cannot block signals", error))?;
    // SAFETY: the child runs the cell and ends, and calls nothing of Python's.
    let forked = unsafe { fork() };
    if matches!(forked, Ok(ForkResult::Child)) {
        let task = Task {
            entry,
            last_words,
            context,
            taken,
            status_page,
            payload,
            stack,
            mask: *before.as_ref(),
            parent,
        };
        // SAFETY: this is the child, and the cell was compiled for values of these types.
        unsafe { child::live(task) };
    }
    let unblocked = before.thread_set_mask();
    let child = match forked {
        Ok(ForkResult::Parent { child }) => Child::new(child.as_raw()),
        Ok(ForkResult::Child) => None,
        Err(error) => return Err(unable("cannot fork", error)),
    };
    unblocked.map_err(|error| unable("cannot unblock signals", error))?;
    child.ok_or_else(|| unable("has a child without a number", "it is 0"))
}

fn unable(what: &str, error: impl std::fmt::Display) -> Error {
    Error::Usage(format!(
        "%%rust --isolated: the kernel {what}: {error}; without --isolated the cell needs no process of its own"
    ))
}

/// How the cell ended, and what it handed over.
fn ending(
    status_page: &StatusPage,
    status: Option<WaitStatus>,
    payload: OwnedFd,
) -> Result<(Result<u32, Ended>, CellResults), Error> {
    let (phase, said) = status_page.read();
    let ended = match phase {
        Phase::Finished => {
            let taken = payload::unpack(File::from(payload));
            let mut taken = taken.ok_or_else(|| {
                unable(
                    "cannot read the cell's results",
                    "the cell has damaged them",
                )
            })?;
            taken.failure = status_page.words();
            return Ok((Ok(said), taken));
        }
        Phase::Unwritten => {
            return Err(unable(
                "could not take the cell's results",
                "there is not enough memory for a copy of them",
            ));
        }
        Phase::Crashed => Ended::Crashed(status_page.crashed()),
        Phase::Left => Ended::Left(said.cast_signed()),
        Phase::Runs => match status {
            Some(status) => match (status.terminating_signal(), status.exit_status()) {
                (Some(signal), _) => Ended::Killed(signal),
                (None, code) => Ended::Left(code.unwrap_or_default()),
            },
            None => Ended::Left(0),
        },
    };
    let taken = CellResults {
        failure: status_page.words(),
        ..CellResults::default()
    };
    Ok((Err(ended), taken))
}

/// A child, which is ended and waited for when it is dropped.
struct Child {
    pid: Pid,
    /// Readable when the child has ended; missing where the system has none.
    handle: Option<OwnedFd>,
    is_waited_for: bool,
}

impl Child {
    fn new(pid: i32) -> Option<Self> {
        let pid = Pid::from_raw(pid)?;
        // The child does the same. Whoever comes first, the group is there when somebody wants to end it.
        let _ = setpgid(Some(pid), Some(pid));
        Some(Self {
            pid,
            handle: pidfd_open(pid, PidfdFlags::empty()).ok(),
            is_waited_for: false,
        })
    }

    /// How it ended, if it has; nothing is known of a child that somebody else has waited for.
    fn wait(&mut self) -> Option<Option<WaitStatus>> {
        match &self.handle {
            // A signal ends the look early.
            Some(handle) => {
                let _ = poll(&mut [PollFd::new(handle, PollFlags::IN)], Some(&TIMEOUT));
            }
            None => {
                let _ = poll(&mut [], Some(&SHORT_TIMEOUT));
            }
        }
        let status = match waitpid(Some(self.pid), WaitOptions::NOHANG) {
            Ok(None) => return None,
            Ok(Some((_, status))) => Some(status),
            Err(_) => None,
        };
        self.is_waited_for = true;
        Some(status)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.is_waited_for {
            return;
        }
        let _ = kill_process_group(self.pid, Signal::KILL);
        let _ = kill_process(self.pid, Signal::KILL);
        while matches!(
            waitpid(Some(self.pid), WaitOptions::empty()),
            Err(Errno::INTR)
        ) {}
    }
}
