//! What is remarkable about system calls: habits that cost much and that hardly anybody wants.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use diaphane_trace::syscalls::{Call, SyscallRecording};
use pyo3::prelude::*;
use pyo3::types::PyList;

use super::decode::name_of;
use crate::magics::syscalls::snapshot::{SeenCall, path_of};
use diaphane_report::view::{bytes, time};
use diaphane_report::{Diagnosis, Severity};

/// A search path of fewer folders is a usual one.
const FOLDERS: usize = 20;
/// Fewer questions for them cost nothing.
const SEARCHES: usize = 2000;
/// Files that were asked for and are not there.
const MISSING: usize = 1000;
/// So many calls for a file, with so few bytes each.
const PIECES: usize = 1000;
const TINY: usize = 64;
/// Waits for the disk, and questions that found nothing to do.
const SYNCS: usize = 100;
const QUESTIONS: usize = 1000;
/// A call that waited longer did not just ask.
const MOMENT_NS: u64 = 1_000_000;

/// All calls with their names.
type NamedCalls<'a> = [(String, &'a Call)];

/// All of it.
pub(super) fn all(
    recording: &SyscallRecording,
    seen: &[SeenCall<'_>],
    py: Python<'_>,
) -> Vec<Diagnosis> {
    let calls = recording.calls.iter();
    let calls: Vec<(String, &Call)> = calls.map(|call| (name_of(call), call)).collect();
    let found = [
        searches(&calls, &search_path(py)),
        missing(&calls),
        pieces(&calls),
        syncs(&calls, recording.elapsed_ns),
        polling(&calls, seen),
    ];
    found.into_iter().flatten().collect()
}

/// What is text in `sys.path`.
fn search_path(py: Python<'_>) -> Vec<String> {
    let path = py.import("sys").and_then(|sys| sys.getattr("path"));
    let path = path.ok().and_then(|path| path.cast_into::<PyList>().ok());
    let items = path.iter().flat_map(|path| path.iter());
    items.filter_map(|item| item.extract().ok()).collect()
}

/// Each import asks for the folders of `sys.path`, one after the other, until it finds the module.
fn searches(calls: &NamedCalls<'_>, path: &[String]) -> Option<Diagnosis> {
    let folders: HashSet<&str> = path.iter().map(String::as_str).collect();
    let is_question = |name: &str| matches!(name, "stat" | "newfstatat" | "statx");
    let asked = calls.iter().filter(|(name, _)| is_question(name));
    let asked = asked.filter_map(|(_, call)| Some((path_of(call)?, *call)));
    let asked: Vec<_> = asked
        .filter(|(path, _)| folders.contains(path.as_str()))
        .collect();
    let each = counted(asked.iter().map(|(path, _)| path.as_str()));
    if asked.len() < SEARCHES || each.len() < FOLDERS {
        return None;
    }
    let took = sum(asked.iter().map(|(_, call)| *call));
    let shown = each.iter().take(3);
    let shown = shown.map(|(folder, count)| format!("{count} for {folder}"));
    Some(Diagnosis {
        code: "S004",
        severity: Severity::Info,
        title: format!(
            "Imports asked {} times for the {} folders of sys.path, {} in Linux.",
            asked.len(),
            each.len(),
            time(took)
        ),
        evidence: shown.collect(),
        fix: "Take folders that are not needed out of PYTHONPATH, .pth files and sys.path, or put them last.".into(),
    })
}

/// Files that are looked for one by one and are not there.
fn missing(calls: &NamedCalls<'_>) -> Option<Diagnosis> {
    let failed = calls
        .iter()
        .filter(|(_, call)| call.error() == Some(libc::ENOENT));
    let failed: Vec<_> = failed
        .filter_map(|(_, call)| Some((path_of(call)?, *call)))
        .collect();
    if failed.len() < MISSING {
        return None;
    }
    let asked = calls.iter().filter(|(_, call)| path_of(call).is_some());
    let folder = |path: &'_ str| {
        path.rsplit_once('/')
            .map_or_else(|| ".".to_owned(), |(folder, _)| format!("{folder}/"))
    };
    let folders: Vec<String> = failed.iter().map(|(path, _)| folder(path)).collect();
    let folders = counted(folders.iter().map(String::as_str));
    let shown = folders.iter().take(3);
    Some(Diagnosis {
        code: "S005",
        severity: Severity::Info,
        title: format!(
            "{} of {} calls that name a file found none, {} in Linux.",
            failed.len(),
            asked.count(),
            time(sum(failed.iter().map(|(_, call)| *call)))
        ),
        evidence: shown
            .map(|(folder, count)| format!("{count} in {folder}"))
            .collect(),
        fix: "List such a folder once (os.scandir) instead of asking for each name, and look first where the files are."
            .into(),
    })
}

/// A file that is read or written in tiny pieces.
fn pieces(calls: &NamedCalls<'_>) -> Option<Diagnosis> {
    let mut open: HashMap<usize, usize> = HashMap::new();
    let mut files: Vec<FileUse> = Vec::new();
    for (name, call) in calls {
        let result = call.result.and_then(|result| usize::try_from(result).ok());
        let at = || open.get(&call.arguments[0]).copied();
        match (name.as_str(), result) {
            ("open" | "openat" | "openat2" | "creat", Some(number)) => {
                open.remove(&number);
                // Devices and the kernel's own files have no buffers worth the name.
                let path = path_of(call).filter(|path| !is_special(path));
                if let Some(path) = path {
                    open.insert(number, files.len());
                    files.push(FileUse::new(path));
                }
            }
            ("close", _) => drop(open.remove(&call.arguments[0])),
            ("read" | "pread64", Some(length)) => {
                at().into_iter()
                    .for_each(|at| files[at].read.add(length, call));
            }
            ("write" | "pwrite64", Some(length)) => {
                at().into_iter()
                    .for_each(|at| files[at].written.add(length, call));
            }
            _ => {}
        }
    }
    let sides = files.iter().flat_map(|file| {
        let both = [("read", &file.read), ("written", &file.written)];
        both.map(|(verb, pieces)| (file, verb, pieces))
    });
    let tiny = sides.filter(|(_, _, pieces)| pieces.are_tiny());
    let (file, verb, pieces) = tiny.max_by_key(|(_, _, pieces)| pieces.count)?;
    Some(Diagnosis {
        code: "S006",
        severity: Severity::Warn,
        title: format!(
            "{} was {verb} in {} pieces of {} on average, {} in Linux.",
            file.path,
            pieces.count,
            bytes(pieces.bytes as f64 / pieces.count as f64),
            time(pieces.took as f64)
        ),
        evidence: Vec::new(),
        fix: "Open it with a buffer (the default of open()), or collect the pieces and hand them over at once.".into(),
    })
}

fn is_special(path: &str) -> bool {
    ["/dev/", "/proc/", "/sys/"]
        .iter()
        .any(|folder| path.starts_with(folder))
}

/// A file from its opening to its closing.
struct FileUse {
    path: String,
    read: Pieces,
    written: Pieces,
}

#[derive(Default)]
struct Pieces {
    count: usize,
    bytes: usize,
    took: u64,
}

impl FileUse {
    fn new(path: String) -> Self {
        Self {
            path,
            read: Pieces::default(),
            written: Pieces::default(),
        }
    }
}

impl Pieces {
    fn add(&mut self, length: usize, call: &Call) {
        self.count += 1;
        self.bytes += length;
        self.took += call.took_ns.unwrap_or(0);
    }

    fn are_tiny(&self) -> bool {
        self.count >= PIECES && self.bytes <= self.count * TINY
    }
}

/// Waits until the disk has everything, again and again.
fn syncs(calls: &NamedCalls<'_>, elapsed: u64) -> Option<Diagnosis> {
    let is_sync = |name: &str| matches!(name, "fsync" | "fdatasync" | "sync" | "syncfs");
    let syncs: Vec<_> = calls.iter().filter(|(name, _)| is_sync(name)).collect();
    if syncs.len() < SYNCS {
        return None;
    }
    let took = sum(syncs.iter().map(|(_, call)| *call));
    let much = 5.0 * took >= elapsed as f64;
    Some(Diagnosis {
        code: "S007",
        severity: if much { Severity::Warn } else { Severity::Info },
        title: format!(
            "{} waits until the disk had its data took {} of {}.",
            syncs.len(),
            time(took),
            time(elapsed as f64)
        ),
        evidence: names(syncs.iter().map(|(name, _)| name.as_str())),
        fix: "Do several changes in one transaction, and ask for fsync once at the end.".into(),
    })
}

/// A loop that asks whether there is something to do, and there is not.
fn polling(calls: &NamedCalls<'_>, seen: &[SeenCall<'_>]) -> Option<Diagnosis> {
    let mut found: Vec<(&str, usize)> = Vec::new();
    for (index, (name, call)) in calls.iter().enumerate() {
        if is_empty_question(name, call) {
            found.push((name, index));
        }
    }
    if found.len() < QUESTIONS {
        return None;
    }
    let indices: HashSet<usize> = found.iter().map(|(_, index)| *index).collect();
    let asked = seen.iter().filter(|one| indices.contains(&one.index));
    let places: Vec<&str> = asked.filter_map(|one| one.place.as_deref()).collect();
    let places = counted(places.into_iter());
    let place = places
        .first()
        .map(|(place, _)| format!("mostly at {place}"));
    let mut evidence = names(found.iter().map(|(name, _)| *name));
    evidence.extend(place);
    Some(Diagnosis {
        code: "S008",
        severity: Severity::Warn,
        title: format!(
            "A loop asked {} times for something to do and got nothing, instead of waiting.",
            found.len()
        ),
        evidence,
        fix: "Wait with a time-out, or on a lock, an event or a queue, so that Linux wakes the thread.".into(),
    })
}

fn is_empty_question(name: &str, call: &Call) -> bool {
    let is_short = call.took_ns.is_some_and(|took| took < MOMENT_NS);
    match name {
        "sched_yield" => true,
        "poll" | "ppoll" | "select" | "pselect6" | "epoll_wait" | "epoll_pwait"
        | "epoll_pwait2" => call.result == Some(0) && is_short,
        "nanosleep" | "clock_nanosleep" => is_short,
        "wait4" => call.result == Some(0),
        "read" | "recvfrom" | "recvmsg" | "accept" | "accept4" => {
            call.error() == Some(libc::EAGAIN) && is_short
        }
        _ => false,
    }
}

fn sum<'a>(calls: impl Iterator<Item = &'a Call>) -> f64 {
    calls.filter_map(|call| call.took_ns).sum::<u64>() as f64
}

/// What there is how often, the most first.
fn counted<'a>(items: impl Iterator<Item = &'a str>) -> Vec<(&'a str, usize)> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for item in items {
        *counts.entry(item).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_unstable_by_key(|&(item, count)| (Reverse(count), item));
    counts
}

fn names<'a>(items: impl Iterator<Item = &'a str>) -> Vec<String> {
    let counts = counted(items).into_iter();
    counts
        .map(|(name, count)| format!("{count} {name}"))
        .collect()
}
