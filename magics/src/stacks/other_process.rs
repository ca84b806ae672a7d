//! The threads of another process, as they are at this moment: what `now` is for this one.
//!
//! Nothing runs in the process, and no signal is sent to it: its memory and its files are read, and threads that run are
//! stopped for the moment of the copy.

use std::collections::HashMap;

use diaphane_sight::code::lines::Lines;
use diaphane_sight::linker::libraries;
use diaphane_sight::linker::libraries::{Library, LibraryKind};
use diaphane_sight::proc::maps::Maps;
use diaphane_sight::proc::target_process::TargetProcess;
use diaphane_sight::threads::{Call, Task, tasks_of};
use diaphane_sight::unwind;
use diaphane_sight::unwind::{Manner, Seen};

use super::now::ThreadNow;
use crate::error::Error;
use crate::stacks::merged::merge;
use crate::stacks::snapshot::Gil;
use diaphane_cpython::frames::Functions;
use diaphane_cpython::other_process::{Inside, Interpreters};
use diaphane_cpython::reader::{Reader, unpack};

/// No more of a thread's frames is read: as many words as 16,384 frames take.
const WORDS: usize = 1 << 16;

/// What is known of another process.
pub(crate) struct OtherProcessStacks {
    pub threads: Vec<ThreadNow>,
    pub maps: Maps,
    pub libraries: Vec<Library>,
    pub reader: Option<Reader>,
    /// Where the frames of each thread end.
    pub ends: HashMap<i32, Vec<usize>>,
    /// Which Python it runs, as `3.11.7`.
    pub version: Option<String>,
    /// What is not known of it, and why.
    pub limits: Vec<String>,
}

impl OtherProcessStacks {
    /// What is known of a process that could not be looked at.
    pub(crate) fn unknown(why: String) -> Self {
        Self {
            threads: Vec::new(),
            maps: Maps::default(),
            libraries: Vec::new(),
            reader: None,
            ends: HashMap::new(),
            version: None,
            limits: vec![why],
        }
    }
}

/// The number that each thread has in its own container.
fn inner_numbers(tasks: &[Task]) -> HashMap<i32, i32> {
    let number = |task: &Task| (task.tid, task.inner_number().unwrap_or(task.tid));
    tasks.iter().map(number).collect()
}

/// Where the frames of a stack end, from the innermost on.
fn frame_ends(seen: &Seen) -> Vec<usize> {
    let frames = seen.stack.as_ref().map(|stack| stack.frames.as_slice());
    let frames = frames.unwrap_or_default().iter();
    frames.map(|frame| frame.end).collect()
}

/// The reader of source lines. A process that dies has no time, and its program is the kernel, whose own lines say nothing
/// to the user.
fn lines(libraries: &[Library], manner: Manner) -> Lines {
    let mut lines = Lines::default();
    if manner.interrupted.is_some() {
        let programs = libraries
            .iter()
            .filter(|library| library.kind == LibraryKind::Program);
        programs.for_each(|program| lines.leave_out(program));
    }
    lines
}

/// Looks at a process; `None` where no Python is in it.
pub(crate) fn look(pid: i32, manner: Manner) -> Result<Option<OtherProcessStacks>, Error> {
    let Some(python) = OtherPython::find(pid)? else {
        return Ok(None);
    };
    let now = python.now()?;
    let (threads, ends) = python.stacks(&now, manner, &|_| true);
    Ok(Some(OtherProcessStacks {
        threads,
        ends,
        reader: python.inside.reader,
        limits: python.inside.limits(&now.interpreters),
        version: python.inside.version,
        maps: python.maps,
        libraries: python.libraries,
    }))
}

/// A process with Python in it, as far as it seldom changes.
pub(crate) struct OtherPython {
    pid: i32,
    maps: Maps,
    pub libraries: Vec<Library>,
    inside: Inside,
}

/// The threads of such a process at one moment.
pub(crate) struct OtherThreads {
    pub tasks: Vec<Task>,
    numbers: HashMap<i32, i32>,
    interpreters: Interpreters,
}

impl OtherThreads {
    /// The thread that holds a GIL.
    pub(crate) fn holder(&self) -> Option<i32> {
        let mut tids = self.tasks.iter().map(|task| task.tid);
        tids.find(|tid| self.is_holder(*tid))
    }

    fn is_holder(&self, tid: i32) -> bool {
        let number = self.numbers.get(&tid);
        number.is_some_and(|number| self.interpreters.holders.contains(number))
    }
}

impl OtherPython {
    /// Finds it; `None` where no Python is in the process.
    pub(crate) fn find(pid: i32) -> Result<Option<Self>, Error> {
        let target = TargetProcess::process(pid);
        let maps = Maps::of(target)?;
        let libraries = libraries::loaded_by(target, &maps);
        Ok(Inside::find(target, &libraries).map(|inside| Self {
            pid,
            maps,
            libraries,
            inside,
        }))
    }

    /// Which Python it is, as `3.11.7`.
    pub(crate) fn version(&self) -> Option<&str> {
        self.inside.version.as_deref()
    }

    /// Its threads now, by their numbers, and who holds the GIL.
    pub(crate) fn now(&self) -> Result<OtherThreads, Error> {
        let mut tasks = tasks_of(TargetProcess::process(self.pid))?;
        tasks.sort_unstable_by_key(|task| task.tid);
        let numbers = inner_numbers(&tasks);
        Ok(OtherThreads {
            interpreters: self.inside.interpreters(&numbers, self.pid),
            tasks,
            numbers,
        })
    }

    /// Whether a thread waits for the GIL.
    pub(crate) fn waits_for_gil(&self, call: &Call) -> bool {
        self.inside.is_gil(call)
    }

    /// The stacks of those threads that are wanted, and where the frames of each end.
    pub(crate) fn stacks(
        &self,
        now: &OtherThreads,
        manner: Manner,
        is_wanted: &dyn Fn(i32) -> bool,
    ) -> (Vec<ThreadNow>, HashMap<i32, Vec<usize>>) {
        let wanted = now.tasks.iter().filter(|task| is_wanted(task.tid));
        let tasks: Vec<Task> = wanted
            .map(|task| Task::of(task.target(), task.tid))
            .collect();
        let note = |task: &Task| {
            let mut words = vec![0; WORDS];
            let count = now.interpreters.note(now.numbers[&task.tid], &mut words);
            words.truncate(count);
            words
        };
        let seen = unwind::of_process(&tasks, &self.libraries, &self.maps, manner, &note);
        let ends = tasks.iter().zip(&seen);
        let ends = ends.map(|(task, seen)| (task.tid, frame_ends(seen)));
        let ends = ends.collect();
        let mut functions = Functions::read_by(self.inside.reader);
        let mut lines = lines(&self.libraries, manner);
        let one = |(task, seen): (&Task, Seen)| {
            let (name, state) = task.name_and_state()?;
            let noted = match &seen.stack {
                Ok(stack) => stack.noted.clone(),
                // Without a stop they may change meanwhile, which their types give away.
                Err(_) => note(task),
            };
            let python = functions.of(&unpack(&noted));
            let mut merged = merge(&self.libraries, &mut lines, seen.stack, python);
            merged.is_a_part(noted.len() >= WORDS);
            Some(ThreadNow {
                tid: task.tid,
                name,
                state,
                is_main: task.tid == self.pid,
                gil: self.gil(task, now),
                stopped: seen.stopped,
                merged,
                // Who has a lock is not asked in another process.
                ..ThreadNow::default()
            })
        };
        let threads = tasks.iter().zip(seen).filter_map(one).collect();
        (threads, ends)
    }

    /// What a thread has to do with the GIL.
    fn gil(&self, task: &Task, now: &OtherThreads) -> Option<Gil> {
        let waits = || task.call().is_some_and(|call| self.waits_for_gil(&call));
        self.inside.reader.map(|_| match () {
            () if now.is_holder(task.tid) => Gil::Holder,
            () if waits() => Gil::Waiting,
            () => Gil::None,
        })
    }
}
