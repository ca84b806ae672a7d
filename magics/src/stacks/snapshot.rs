//! Everything that is known of the process at the moment of the question.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use diaphane_sight::linker::libraries;
use diaphane_sight::linker::libraries::Library;
use diaphane_sight::packages::{self, Package};
use diaphane_sight::proc::cpus::Cpus;
use diaphane_sight::proc::maps::Maps;
use diaphane_sight::proc::spans::Span;
use diaphane_sight::proc::task_limit::{TaskLimit, task_limit};
use diaphane_sight::runtimes::pool_libraries as runtimes;
use diaphane_sight::runtimes::pool_libraries::Api;
use diaphane_sight::threads::{self, Call, Glance, Task, Thread, is_own_thread};
use serde::Serialize;

use super::live_pools::{Pool, pools};
use crate::error::Error;
use diaphane_cpython::interpreter::{Interpreter, is_gil_wait};
use diaphane_cpython::symbols;

/// What a thread is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ThreadKind {
    Main,
    Python,
    Kernel,
    Blas,
    OpenMp,
    Arrow,
    Rust,
    Unknown,
}

/// What a thread has to do with the GIL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Gil {
    Holder,
    Waiting,
    None,
}

/// The process, looked at once.
pub(crate) struct ProcessSnapshot {
    pub maps: Maps,
    pub libraries: Vec<Library>,
    /// The packages of the libraries that own a thread or a pool.
    packages: HashMap<usize, Arc<Package>>,
    pub threads: Vec<Thread>,
    pub vanished: usize,
    pub pools: Vec<Pool>,
    pub cpus: Cpus,
    pub tasks: Option<TaskLimit>,
    pub interpreter: Interpreter,
    /// Who asks.
    pub asks: i32,
    /// Where the interpreter keeps the GIL, among other things.
    pub runtime: Option<Span>,
}

impl ProcessSnapshot {
    /// Looks.
    pub(crate) fn look() -> Result<Self, Error> {
        let interpreter = Interpreter::look();
        let maps = Maps::read()?;
        let libraries = libraries::loaded(&maps)?;
        let found = threads::threads(&libraries, &maps)?;
        let owners = found
            .threads
            .iter()
            .filter_map(|thread| Some(thread.owner.as_ref()?.library));
        let packages = packages_of(&libraries, owners);
        Ok(Self {
            pools: pools(&libraries, &packages, &found.threads),
            cpus: Cpus::read(),
            tasks: task_limit(),
            asks: nix::unistd::gettid().as_raw(),
            runtime: symbols::runtime(&libraries),
            interpreter,
            maps,
            libraries,
            packages,
            threads: found.threads,
            vanished: found.vanished,
        })
    }

    /// The library that a thread belongs to.
    pub(crate) fn owner(&self, thread: &Thread) -> Option<&Library> {
        Some(&self.libraries[thread.owner.as_ref()?.library])
    }

    /// What a thread is for.
    pub(crate) fn kind(&self, thread: &Thread, has_python_name: bool) -> ThreadKind {
        let owner = self.owner(thread);
        let runtime = owner.and_then(runtimes::runtime);
        let in_python = self.interpreter.states.contains_key(&thread.tid);
        if u32::try_from(thread.tid) == Ok(std::process::id()) {
            ThreadKind::Main
        } else if is_own_thread(thread.tid) {
            ThreadKind::Kernel
        } else if has_python_name || in_python || owner.is_some_and(symbols::is_interpreter) {
            ThreadKind::Python
        } else {
            match runtime.map(|runtime| runtime.api) {
                Some(Api::Blas) => ThreadKind::Blas,
                Some(Api::OpenMp) => ThreadKind::OpenMp,
                None if owner.is_some_and(|library| library.name.starts_with("libarrow")) => {
                    ThreadKind::Arrow
                }
                None if owner
                    .is_some_and(|library| library.kind == libraries::LibraryKind::Cell) =>
                {
                    ThreadKind::Rust
                }
                None => ThreadKind::Unknown,
            }
        }
    }

    /// Python's name, or what Linux calls it.
    pub(crate) fn plain_name<'a>(&self, thread: &'a Thread, names: &'a ThreadNames) -> &'a str {
        names.get(&thread.tid).unwrap_or(&thread.comm)
    }

    /// Python's name, or what Linux calls it; for a thread that has the process's name its pool's, if it has one.
    pub(crate) fn name<'a>(&'a self, thread: &'a Thread, names: &'a ThreadNames) -> Cow<'a, str> {
        if let Some(name) = names.get(&thread.tid) {
            return name.into();
        }
        let own = std::process::id().cast_signed();
        let main = self.threads.iter().find(|one| one.tid == own);
        let is_plain = main.is_some_and(|main| main.comm == thread.comm);
        let mut pools = self.pools.iter();
        match pools.find(|pool| is_plain && pool.owns(thread)) {
            Some(pool) => pool.thread_name().into(),
            None if is_plain && thread.tid != own => "without a name".into(),
            None => (&thread.comm).into(),
        }
    }

    /// What a thread has to do with the GIL, if that is known.
    pub(crate) fn gil(&self, thread: &Thread) -> Option<Gil> {
        if !self.interpreter.known {
            return None;
        }
        let call = thread.call.as_ref();
        Some(if self.interpreter.holder == Some(thread.tid) {
            Gil::Holder
        } else if call.is_some_and(|call| self.waits_for_the_gil(call)) {
            Gil::Waiting
        } else {
            Gil::None
        })
    }

    /// Whether a thread waits for another one, for as long as that takes, and not for the GIL.
    pub(crate) fn waits_without_end(&self, thread: &Thread) -> bool {
        let call = thread.call.as_ref();
        call.is_some_and(|call| {
            call.name == Some("futex") && !call.timed && !self.waits_for_the_gil(call)
        })
    }

    /// Says what the same threads do now, whose libraries are the same; of memory there is the main thread's stack only.
    pub(crate) fn renew(&mut self, now: &[Glance]) -> Result<(), Error> {
        for thread in &mut self.threads {
            if let Ok(place) = now.binary_search_by_key(&thread.tid, |one| one.tid) {
                thread.state = now[place].state;
                thread.call.clone_from(&now[place].call);
            }
        }
        let main = Task::new(std::process::id().cast_signed());
        let position = main.position().map(|position| position.stack);
        self.maps = Maps::around(position.into_iter().collect())?;
        self.interpreter = Interpreter::look();
        Ok(())
    }

    /// Whether a system call waits for the GIL.
    pub(crate) fn waits_for_the_gil(&self, call: &Call) -> bool {
        is_gil_wait(self.runtime, call)
    }

    /// The libraries by their owners, for the names behind functions.
    pub(crate) fn package_of(&self, library: usize) -> Option<&Package> {
        self.packages.get(&library).map(AsRef::as_ref)
    }
}

/// Looking for a package reads files, so only those of the libraries in question are looked for.
fn packages_of(
    libraries: &[Library],
    owners: impl Iterator<Item = usize>,
) -> HashMap<usize, Arc<Package>> {
    let has_pool = |index: &usize| runtimes::runtime(&libraries[*index]).is_some();
    let wanted: BTreeSet<usize> = owners
        .chain((0..libraries.len()).filter(has_pool))
        .collect();
    let package = |index: usize| {
        let path = libraries[index].path.as_deref()?;
        Some((index, packages::owner(Path::new(path))?))
    };
    wanted.into_iter().filter_map(package).collect()
}

/// The names that Python gave to its threads, by the kernel's numbers.
pub(crate) type ThreadNames = HashMap<i32, String>;
