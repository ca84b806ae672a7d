//! What the samples add up to: per function, per kind, per thread, and as one tree.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::libraries::names::file_name;
use diaphane_trace::sampler::Totals;

use super::comm::comm_of_process;
use super::diagnoses::ENOUGH;
use super::gather::Gather;
use super::kinds::CodeKind;
use super::sampled::{Id, Path, SampledFunction, Spot};

/// The samples of a cell.
pub(crate) struct Profile {
    pub functions: Vec<SampledFunction>,
    /// The lines of cells that were seen.
    pub spots: Vec<Spot>,
    pub paths: Vec<(Path, u64)>,
    /// The thread of the cell.
    pub main: i32,
    pub samples: u64,
    /// Samples that are no part of these: of what stands around the cell, and of the display of its value.
    pub around: u64,
    pub display: u64,
    pub unread: u64,
    pub truncated: u64,
    pub joined: u64,
    pub unplaced: u64,
    /// Samples whose stack is kept in part, since there were too many of them.
    pub shortened: u64,
    pub totals: Totals,
    /// The names of the threads.
    pub threads: BTreeMap<i32, String>,
}

/// A number of samples in words.
pub(crate) fn counted(samples: u64) -> String {
    match samples {
        1 => "1 sample".to_owned(),
        many => format!("{many} samples"),
    }
}

/// What one function has.
#[derive(Debug, Clone, Default)]
pub(crate) struct Share {
    /// Samples in which it was the innermost one.
    pub own: u64,
    /// Samples in which it was on the stack.
    pub total: u64,
    pub threads: BTreeSet<i32>,
}

impl Profile {
    /// Of what was gathered; `names` are those that Python gave to its threads.
    pub(crate) fn of(mut gather: Gather, totals: Totals, names: &HashMap<i32, String>) -> Self {
        gather.without_own_threads();
        let seen = gather.threads();
        let process = comm_of_process();
        let name = |tid: &i32| {
            // Many have the name of the process, which nobody gave to them.
            let comm = gather
                .names
                .get(tid)
                .filter(|name| Some(*name) != process.as_ref());
            (*tid, names.get(tid).or(comm).cloned().unwrap_or_default())
        };
        let threads = seen.iter().map(name).collect();
        let mut paths: Vec<(Path, u64)> = gather.stacks.counts.into_iter().collect();
        paths.sort_by(|(one, left), (other, right)| {
            right.cmp(left).then_with(|| one.calls.cmp(&other.calls))
        });
        Self {
            functions: gather.functions,
            paths,
            main: gather.main,
            spots: gather.spots,
            samples: gather.samples,
            around: gather.around,
            display: gather.display,
            unread: gather.unread,
            truncated: gather.truncated,
            joined: gather.joined,
            unplaced: gather.unplaced,
            shortened: gather.stacks.shortened,
            totals,
            threads,
        }
    }

    pub(crate) fn function(&self, id: Id) -> &SampledFunction {
        &self.functions[id as usize]
    }

    /// A part of the samples, in percent with one digit.
    pub(crate) fn percent(&self, count: u64) -> f64 {
        (count as f64 * 1000.0 / self.samples.max(1) as f64).round() / 10.0
    }

    /// The same for people, unless there are too few samples for a share to say something.
    pub(crate) fn share(&self, count: u64) -> Option<f64> {
        (self.samples >= ENOUGH).then(|| self.percent(count))
    }

    /// A part of the samples in words: its share, or how many they are.
    pub(crate) fn part(&self, count: u64) -> String {
        let share = self.share(count);
        share.map_or_else(|| counted(count), |share| format!("{share} %"))
    }

    /// The share of every function, those that ran most first.
    pub(crate) fn shares(&self) -> Vec<(Id, Share)> {
        let mut shares: HashMap<Id, Share> = HashMap::new();
        for (path, count) in &self.paths {
            let each: HashSet<Id> = path.calls.iter().copied().collect();
            for id in each {
                let share = shares.entry(id).or_default();
                share.total += count;
                share.threads.insert(path.tid);
            }
            if let Some(last) = path.calls.last() {
                shares.entry(*last).or_default().own += count;
            }
        }
        let mut all: Vec<(Id, Share)> = shares.into_iter().collect();
        all.sort_by_key(|(id, share)| (u64::MAX - share.own, u64::MAX - share.total, *id));
        all
    }

    /// How many samples have their innermost function in code of each kind.
    pub(crate) fn kinds(&self) -> Vec<(CodeKind, u64)> {
        let count = |kind: CodeKind| self.count(|path| self.kind(path) == Some(kind));
        let all = CodeKind::ALL.into_iter().map(|kind| (kind, count(kind)));
        all.filter(|(_, count)| *count > 0).collect()
    }

    fn kind(&self, path: &Path) -> Option<CodeKind> {
        Some(self.function(*path.calls.last()?).kind)
    }

    /// How many samples have such a stack.
    pub(crate) fn count(&self, holds: impl Fn(&Path) -> bool) -> u64 {
        let held = self.paths.iter().filter(|(path, _)| holds(path));
        held.map(|(_, count)| count).sum()
    }

    /// The name of a function as graphs write it.
    pub(crate) fn label(&self, id: Id) -> String {
        let function = self.function(id);
        match (&function.library, &function.file, function.line) {
            (Some(library), _, _) => format!("{} [{library}]", function.name),
            (None, Some(file), Some(line)) => {
                format!("{} ({}:{line})", function.name, file_name(file))
            }
            (None, Some(file), None) => format!("{} ({})", function.name, file_name(file)),
            (None, None, _) => function.name.clone(),
        }
    }

    /// A thread as graphs write it.
    pub(crate) fn thread(&self, tid: i32) -> String {
        let name = self.threads.get(&tid).map_or("", String::as_str);
        format!("thread {tid} {name}")
    }
}
