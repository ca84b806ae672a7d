//! What was handed to native functions while a cell ran: sizes, and memory with the names that the user has for it.
//!
//! The recorder keeps words; signatures and the tables of ufuncs make arguments of them, and the arrays before, in and
//! after the cell make names of addresses.

mod argument_text;
mod cpu;
pub(crate) mod diagnoses;
pub(crate) mod given;
pub(crate) mod lives;
mod looping;
mod snapshot;

use std::collections::{BTreeSet, HashMap};

use diaphane_trace::event::{Event, Log, kind};
use diaphane_trace::recorder::functions;
use pyo3::prelude::*;

use crate::error::Error;
use crate::magic::User;
use crate::numpy::arrays;
use crate::numpy::memory_handler::InstalledHandler;
use crate::recording::hook_plan::HookPlan;
use crate::recording::signatures::Access;

use cpu::CpuTimes;
pub(crate) use given::{CalledFunction, Given};
pub(crate) use lives::{Life, Lives, MemoryOwner};
pub(crate) use snapshot::ArraySnapshot;

/// Looks on while the cell runs; what it changed goes when this is dropped.
pub(crate) struct ArgumentWatch {
    names: Vec<String>,
    before: ArraySnapshot,
    handler: Option<InstalledHandler>,
    /// The CPU time of all threads when the cell began and when it ended.
    cpu: [Option<CpuTimes>; 2],
}

/// What was there before and after the cell.
#[derive(Debug, Default)]
pub(crate) struct WatchedArguments {
    pub before: ArraySnapshot,
    pub after: ArraySnapshot,
    /// The CPU time that the cell took on its own thread, and that all others took.
    pub cpu: Option<(u64, u64)>,
    /// What was not seen, in words.
    pub limits: Vec<String>,
}

impl ArgumentWatch {
    /// Begins, for a cell that names these variables.
    pub fn begin(user: User<'_, '_>, names: &[String]) -> Result<Self, Error> {
        let handler = match arrays::is_imported(user.py)? {
            true => Some(InstalledHandler::recorded(user.py)?),
            false => None,
        };
        Ok(Self {
            names: names.to_vec(),
            before: ArraySnapshot::take(user, names)?,
            handler,
            cpu: [CpuTimes::now(), None],
        })
    }

    /// No allocation is noted any more.
    pub fn stop(&mut self, py: Python<'_>) -> PyResult<bool> {
        if self.cpu[1].is_none() {
            self.cpu[1] = CpuTimes::now();
        }
        match &mut self.handler {
            Some(handler) => handler.take_out(py),
            None => Ok(true),
        }
    }

    fn cpu(&self) -> Option<(u64, u64)> {
        let [before, after] = &self.cpu;
        Some(after.as_ref()?.since(before.as_ref()?))
    }

    /// Ends.
    pub fn end(mut self, user: User<'_, '_>) -> Result<WatchedArguments, Error> {
        let was_ours = self.stop(user.py)?;
        let after = ArraySnapshot::take(user, &self.names)?;
        let mut limits = Vec::new();
        if !was_ours {
            limits.push("another memory handler was set meanwhile: what was allocated after it is not named".into());
        }
        if self.before.is_cut || after.is_cut {
            limits.push("there are too many objects to name all buffers".into());
        }
        let cpu = self.cpu();
        Ok(WatchedArguments {
            before: self.before,
            after,
            limits,
            cpu,
        })
    }
}

/// The place of an event: the number of its log, and its own in it.
pub(crate) type EventId = (usize, usize);

/// The arguments of all calls that have some.
#[derive(Debug, Default)]
pub(crate) struct CallArguments {
    pub given: HashMap<EventId, Given>,
    /// The memory that they speak of.
    pub lives: Vec<Life>,
}

impl CallArguments {
    /// Reads the words of a recording.
    pub fn of(logs: &[Log], hook_plan: &HookPlan, watched: &WatchedArguments) -> Self {
        let mut moments: Vec<(u64, EventId)> = Vec::new();
        for (log, of) in logs.iter().enumerate() {
            let events = of.events.iter().enumerate();
            let told = events.filter(|(_, event)| is_told(event));
            moments.extend(told.map(|(number, event)| (event.time, (log, number))));
        }
        // The numbers of one thread are in order; several threads are merged by their time.
        moments.sort_unstable();
        let mut lives = Lives::before(&watched.before);
        let mut given = HashMap::new();
        for (_, place) in moments {
            let events = &logs[place.0].events[place.1..];
            let event = &events[0];
            match event.id {
                kind::ALLOCATED => lives.allocated(event.stack, event.back),
                kind::FREED => lives.freed(event.stack),
                _ => {
                    let Some(address) = functions::address_of(event.id) else {
                        continue;
                    };
                    let Some(what) = read(events, address, hook_plan) else {
                        continue;
                    };
                    let is_inside = hook_plan.is_inside(address, event.back);
                    given.insert(place, what.placed(&mut lives, is_inside));
                }
            }
        }
        Self {
            given,
            lives: lives.after(&watched.after),
        }
    }
}

impl CallArguments {
    /// That BLAS read and wrote arrays where they lie, if all of its calls did.
    pub fn uncopied(&self) -> Option<String> {
        let mut functions = BTreeSet::new();
        let mut names = BTreeSet::new();
        for given in self.given.values().filter(|given| !given.is_inside) {
            let CalledFunction::Call(known, call) = &given.what else {
                continue;
            };
            if call.flop.is_none() || known.is_of_lapack() {
                continue;
            }
            functions.insert(known.signature.name.as_str());
            for (_, memory, owned) in given.handed().filter(|(_, memory, _)| memory.bytes > 0) {
                let (view, _) = owned.life(&self.lives)?.name(memory.address, memory.span)?;
                names.insert(view.name.as_str());
            }
        }
        let list = |all: &BTreeSet<&str>, quote: &str| {
            let all: Vec<String> = all
                .iter()
                .map(|one| format!("{quote}{one}{quote}"))
                .collect();
            all.join(", ")
        };
        (!functions.is_empty() && names.len() <= 8).then(|| {
            format!(
                "No byte was copied for BLAS: {} got the addresses of the arrays themselves: {}.",
                list(&functions, ""),
                list(&names, "`")
            )
        })
    }
}

fn is_told(event: &Event) -> bool {
    matches!(event.id, kind::ALLOCATED | kind::FREED) || event.id < kind::FIRST && event.extra > 0
}

/// The arguments of the call that the first event is.
fn read(events: &[Event], address: usize, hook_plan: &HookPlan) -> Option<CalledFunction> {
    let (event, behind) = events.split_first()?;
    let behind = behind.get(..event.extra as usize)?;
    let words: Vec<usize> = behind
        .iter()
        .filter(|event| event.id == kind::WORDS)
        .flat_map(|event| [event.time as usize, event.stack, event.back])
        .collect();
    if let Some(known) = hook_plan.known(address) {
        return known
            .call(&words)
            .map(|call| CalledFunction::Call(known, call));
    }
    let about = hook_plan.about_loop(address)?;
    looping::Looping::read(about, &words)
        .map(|looping| CalledFunction::Loop(about.clone(), looping))
}

impl CalledFunction {
    /// With the memory that it speaks of.
    fn placed(self, lives: &mut Lives, is_inside: bool) -> Given {
        let memory = self.memory();
        if self.frees()
            && let Some((_, memory)) = memory.first()
        {
            lives.freed(memory.address);
        }
        let of: Vec<MemoryOwner> = memory.iter().map(|(_, one)| lives.owner(one)).collect();
        for ((_, one), owned) in memory.iter().zip(&of) {
            if let (MemoryOwner::Life(number), true) = (owned, one.access != Access::Read) {
                lives.written(*number);
            }
        }
        if self.copies()
            && let ([from, ..], [.., (_, to)]) = (of.as_slice(), memory.as_slice())
        {
            lives.copied(*from, to.address);
        }
        Given {
            of,
            is_inside,
            memory,
            what: self,
        }
    }

    /// Whether it ends the life of memory.
    fn frees(&self) -> bool {
        const NAMES: [&str; 4] = ["free", "PyMem_Free", "PyMem_RawFree", "PyObject_Free"];
        matches!(self, Self::Call(known, _) if NAMES.contains(&known.signature.name.as_str()))
    }

    /// Whether its last argument becomes a copy of its first.
    fn copies(&self) -> bool {
        const NAMES: [&str; 5] = ["scopy", "dcopy", "ccopy", "zcopy", "lacpy"];
        matches!(self, Self::Call(known, _) if NAMES.iter().any(|name| known.signature.name.ends_with(name)))
    }
}

#[cfg(test)]
mod tests;
