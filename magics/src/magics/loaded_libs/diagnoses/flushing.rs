//! L008: threads whose arithmetic takes numbers close to zero for zero, and the library that is the cause.

use std::cmp::Reverse;
use std::collections::HashMap;

use diaphane_sight::proc::tasks;
use diaphane_sight::threads::creation_records::creation_records;

use super::Interpreter;
use crate::libraries::inventory::LibraryEntry;
use crate::session::float_modes;
use diaphane_report::{Diagnosis, Severity};

const FIX: &str = "Results smaller than 2.2e-308 are lost, also in NumPy; link the library without -ffast-math (GCC before 13) or with -mno-daz-ftz.";

/// The thread that asks, whose register can be read.
pub(super) fn of_this_thread(
    listed: &[&LibraryEntry],
    interpreter: &Interpreter,
) -> Option<Diagnosis> {
    let now = interpreter
        .subnormals
        .filter(|now| now.flushed || now.ignored)?;
    let culprits = listed.iter().filter(|item| item.starts_fast_math());
    let evidence: Vec<String> = culprits.map(|item| linked(item)).collect();
    let what = match (now.flushed, now.ignored) {
        (true, true) => "results and operands close to zero (FTZ, DAZ)",
        (true, false) => "results close to zero (FTZ)",
        _ => "operands close to zero (DAZ)",
    };
    let by = match evidence.len() {
        0 => "; which library did this is not known",
        _ => ", since a library was loaded that was linked with -ffast-math",
    };
    Some(Diagnosis {
        code: "L008",
        severity: Severity::Warn,
        title: format!("This thread's arithmetic takes {what} for zero{by}."),
        evidence,
        fix: FIX.into(),
    })
}

/// The other threads: each that loaded such a library, or was started by one that had.
pub(super) fn of_other_threads(
    items: &[LibraryEntry],
    interpreter: &Interpreter,
) -> Option<Diagnosis> {
    let threads = Threads::of(items);
    let affected: Vec<(i32, Option<&LibraryEntry>)> = tasks::numbers()
        .into_iter()
        .filter(|tid| *tid != interpreter.thread)
        .filter_map(|tid| Some((tid, threads.cause(tid)?)))
        .collect();
    let name = |tid: i32| match interpreter.names.get(&tid) {
        Some(name) => format!("{tid} ({name})"),
        None => format!("{tid} ({})", tasks::name(tid).unwrap_or_default()),
    };
    let evidence = affected.iter().map(|(tid, library)| match library {
        Some(library) => format!("thread {}: {}", name(*tid), linked(library)),
        None => format!("thread {}: which library did this is not known", name(*tid)),
    });
    let since = |library: Option<&LibraryEntry>| match library {
        Some(library) => format!(
            ", since {} was loaded, which was linked with -ffast-math",
            library.facts.name
        ),
        None => "; which library did this is not known".to_owned(),
    };
    let title = match affected.as_slice() {
        [] => return None,
        [(tid, library)] => format!(
            "Thread {}'s arithmetic takes numbers close to zero for zero{}.",
            name(*tid),
            since(*library)
        ),
        [(tid, library), others @ ..] => format!(
            "The arithmetic of thread {} and of {} more takes numbers close to zero for zero{}.",
            name(*tid),
            others.len(),
            since(*library)
        ),
    };
    Some(Diagnosis {
        code: "L008",
        severity: Severity::Warn,
        title,
        evidence: evidence.collect(),
        fix: FIX.into(),
    })
}

fn linked(item: &LibraryEntry) -> String {
    match item.cell() {
        Some(cell) => format!(
            "{}, loaded in In[{cell}], was linked with -ffast-math",
            item.path()
        ),
        None => format!("{} was linked with -ffast-math", item.path()),
    }
}

/// What is known of the threads.
struct Threads<'a> {
    /// What each loaded, the last first, and when it asked for it. Whether that was linked with -ffast-math is asked only
    /// where it matters, since all names of its file have to be read.
    loads: HashMap<i32, Vec<(u64, &'a LibraryEntry)>>,
    /// Who started each, and whether it began so.
    creators: HashMap<i32, (i32, bool)>,
}

impl<'a> Threads<'a> {
    fn of(items: &'a [LibraryEntry]) -> Self {
        let mut loads: HashMap<i32, Vec<(u64, &LibraryEntry)>> = HashMap::new();
        for item in items {
            // Another library may have needed it, and so on.
            let asked = std::iter::successors(Some(item), |item| items.get(item.requester?));
            if let Some(load) = asked.take(64).find_map(|item| item.load.as_ref()) {
                let (tid, at) = load.thread;
                loads.entry(tid).or_default().push((at, item));
            }
        }
        for loads in loads.values_mut() {
            // Of those that came at once, the last of the list counts.
            loads.reverse();
            loads.sort_by_key(|(at, _)| Reverse(*at));
        }
        let records = creation_records().into_iter();
        let creators = records.map(|one| (one.tid, (one.creator, one.flushes_subnormals)));
        Self {
            loads,
            creators: creators.collect(),
        }
    }

    /// The last library that a thread loaded, since then, which makes it take such numbers for zero.
    fn load(&self, tid: i32, since: u64) -> Option<&'a LibraryEntry> {
        let loads = self.loads.get(&tid)?.iter();
        let mut loads = loads.take_while(|(at, _)| *at >= since);
        loads
            .find(|(_, item)| item.starts_fast_math())
            .map(|(_, item)| *item)
    }

    /// The library by which a thread takes such numbers for zero, if it does: by what it loaded since its register was
    /// looked at; else by its register, where that was; else as it began.
    fn cause(&self, tid: i32) -> Option<Option<&'a LibraryEntry>> {
        let seen = float_modes::last(tid);
        let since = seen.map_or(0, |seen| seen.at);
        let flushes = match (self.load(tid, since), seen) {
            (Some(_), _) => true,
            (None, Some(seen)) => seen.flushes,
            (None, None) => self.creators.get(&tid).is_some_and(|(_, began)| *began),
        };
        flushes.then(|| self.library(tid))
    }

    /// What a thread loaded, or who started it.
    fn library(&self, tid: i32) -> Option<&'a LibraryEntry> {
        let creator = |tid: &i32| self.creators.get(tid).map(|(creator, _)| *creator);
        let mut chain = std::iter::successors(Some(tid), creator).take(64);
        chain.find_map(|tid| self.load(tid, 0))
    }
}
