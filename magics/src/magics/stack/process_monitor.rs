//! What `diaphane top PID` asks every second: another process at one moment, seen from outside. It has the fields of what a
//! kernel says of itself.

use std::collections::{BTreeMap, HashMap};

use diaphane_sight::linker::libraries::LibraryKind;
use diaphane_sight::proc::identity::started_at;
use diaphane_sight::proc::process_usage::ProcessUsage;
use diaphane_sight::proc::resource_usage::monotonic_ns;
use diaphane_sight::runtimes::pool_libraries::runtime;
use diaphane_sight::threads::{Call, Task};
use diaphane_sight::unwind::Manner;
use serde::Serialize;

use super::other_process::OtherProcess;
use crate::error::Error;
use crate::stacks::main_stack::MainStack;
use crate::stacks::merged::FrameKind;
use crate::stacks::now::ThreadNow;
use crate::stacks::other_process::{OtherPython, OtherThreads};
use crate::stacks::snapshot::Gil;

/// Looks at another process again and again.
pub struct ProcessMonitor {
    process: OtherProcess,
    /// When it began: another process may get its number.
    began: Option<u64>,
    python: OtherPython,
    /// Whether threads that run may be stopped for a copy of their stack.
    may_stop: bool,
    /// What was found out of each thread by its stack.
    names: HashMap<i32, ThreadIdentity>,
}

/// What was seen.
#[derive(Serialize)]
pub struct ProcessMoment {
    at_ns: u64,
    rss: Option<u64>,
    cpu_ns: u64,
    usable_cpus: Option<usize>,
    gil: Option<i32>,
    threads: Vec<(i32, char, u64, Option<&'static str>)>,
    names: BTreeMap<i32, ThreadIdentity>,
    #[serde(flatten)]
    stack: MainStack,
}

/// What a thread is called, and whose it is.
#[derive(Clone, Serialize)]
struct ThreadIdentity {
    name: String,
    owner: Option<String>,
    kind: &'static str,
}

/// A library of the process.
#[derive(Serialize)]
pub struct OtherLibrary {
    name: String,
    path: Option<String>,
    size: usize,
}

impl ProcessMonitor {
    /// Finds the Python in a process.
    ///
    /// # Errors
    /// Where there is none, or it may not be looked at; the message names the process and the remedy.
    pub fn of(pid: i32, may_stop: bool) -> Result<Self, String> {
        let find = || {
            let process = OtherProcess::of(pid)?;
            process.check()?;
            let python = OtherPython::find(process.pid)?.ok_or_else(|| process.is_no_python())?;
            Ok(Self {
                began: started_at(process.pid),
                process,
                python,
                may_stop,
                names: HashMap::new(),
            })
        };
        find().map_err(|error: Error| error.to_string())
    }

    /// The process; what was asked for may have been one of its threads.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.process.pid
    }

    /// What it is called: `process 4711 (python)`.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.process.shown
    }

    /// Which Python it runs.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.python.version()
    }

    /// Looks; at the stack of a thread too, where one is named.
    ///
    /// # Errors
    /// Why nothing can be seen, in a sentence.
    pub fn look(&mut self, stack: Option<i32>) -> Result<ProcessMoment, String> {
        self.moment(stack).map_err(|error| error.to_string())
    }

    /// The libraries in it, in the order of their names.
    #[must_use]
    pub fn libraries(&self) -> Vec<OtherLibrary> {
        let files = self.python.libraries.iter();
        let files = files.filter(|library| library.kind != LibraryKind::Vdso);
        let mut all: Vec<OtherLibrary> = files
            .map(|library| OtherLibrary {
                name: library.name.clone(),
                path: library.path.clone(),
                size: library.size(),
            })
            .collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all
    }

    fn moment(&mut self, stack: Option<i32>) -> Result<ProcessMoment, Error> {
        let pid = self.process.pid;
        let gone = || Error::Usage(format!("{} has ended", self.process.shown));
        let runs = started_at(pid).is_some_and(|began| Some(began) == self.began);
        let usage = ProcessUsage::of(pid).filter(|_| runs).ok_or_else(gone)?;
        if stack.is_some() {
            // Its libraries come and go.
            let python = OtherPython::find(pid)?;
            self.python = python.ok_or_else(|| self.process.is_no_python())?;
        }
        let now = self.python.now()?;
        let holder = now.holder();
        let stack = self.stack(&now, stack, holder);
        let threads = now.tasks.iter().filter_map(|task| self.thread(task));
        Ok(ProcessMoment {
            at_ns: monotonic_ns(),
            rss: usage.rss,
            cpu_ns: usage.cpu_ns,
            usable_cpus: usage.usable_cpus,
            gil: holder,
            threads: threads.collect(),
            names: self.names.clone().into_iter().collect(),
            stack,
        })
    }

    fn thread(&self, task: &Task) -> Option<(i32, char, u64, Option<&'static str>)> {
        let (_, state) = task.name_and_state()?;
        let wait = |call: Call| match self.python.waits_for_gil(&call) {
            true => Some("GIL"),
            false => call.name,
        };
        let sleeps = matches!(state, 'S' | 'D');
        let wait = sleeps.then(|| task.call()).flatten().and_then(wait);
        Some((task.tid, state, task.run()?.cpu_ns, wait))
    }

    /// The stack that is wanted. Those of threads that are not known yet are looked at once.
    fn stack(&mut self, now: &OtherThreads, wanted: Option<i32>, holder: Option<i32>) -> MainStack {
        let tids: Vec<i32> = now.tasks.iter().map(|task| task.tid).collect();
        self.names.retain(|tid, _| tids.contains(tid));
        let is_asked = |tid| wanted.is_some() && (wanted == Some(tid) || holder == Some(tid));
        let is_new = |tid| !self.names.contains_key(&tid);
        let manner = Manner {
            may_stop: self.may_stop,
            interrupted: None,
        };
        if wanted.is_none() && !tids.iter().any(|tid| is_new(*tid)) {
            return MainStack::default();
        }
        let is_wanted = |tid| is_asked(tid) || is_new(tid);
        let (threads, _) = self.python.stacks(now, manner, &is_wanted);
        for thread in &threads {
            let known = self.identity(thread);
            self.names.entry(thread.tid).or_insert(known);
        }
        let title = |thread: &ThreadNow| thread.title();
        let holds = |thread: &&ThreadNow| thread.gil == Some(Gil::Holder);
        let holder = threads.iter().find(holds).map(title);
        let thread = threads.iter().find(|thread| Some(thread.tid) == wanted);
        thread.map_or_else(MainStack::default, |thread| {
            MainStack::of(thread, holder.as_deref(), true, true)
        })
    }

    /// Whose a thread is, by the function that it began with.
    fn identity(&self, thread: &ThreadNow) -> ThreadIdentity {
        let first = thread.merged.calls.iter().rev().find(|call| !call.plumbing);
        let native = first.filter(|call| call.kind == FrameKind::Native);
        let library = native.and_then(|call| self.python.libraries.get(call.index?));
        let pool = library.and_then(runtime);
        ThreadIdentity {
            name: match (thread.is_main, pool) {
                (true, _) => "MainThread".to_owned(),
                (false, Some(pool)) => format!("{} pool", pool.name),
                (false, None) => thread.name.clone(),
            },
            owner: library.map(|library| library.name.clone()),
            kind: match (thread.is_main, pool) {
                (true, _) => "main",
                (false, Some(_)) => "pool",
                (false, None) => "user",
            },
        }
    }
}
