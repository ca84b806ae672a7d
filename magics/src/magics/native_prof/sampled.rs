//! What samples are made of: functions, lines of cells, and stacks of them.

use std::collections::HashMap;

use diaphane_trace::sampler::Doing;

use super::kinds::CodeKind;
use super::marks::StackMarks;

/// How code of a library without a name for it is called.
pub(crate) const NAMELESS: &str = "(no symbols)";

/// A function that was seen.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct SampledFunction {
    pub kind: CodeKind,
    pub name: String,
    /// The name in the library's table, where people read another one.
    pub symbol: Option<String>,
    pub library: Option<String>,
    pub file: Option<String>,
    pub line: Option<u32>,
}

/// A number of a function.
pub(crate) type Id = u32;

/// A line of a cell.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Spot {
    pub file: String,
    pub line: u32,
}

/// A stack of a thread, the outermost function first.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Path {
    pub tid: i32,
    pub doing: Doing,
    pub calls: Box<[Id]>,
    /// The lines of cells on it, as numbers of spots, the innermost first.
    pub spots: Box<[u32]>,
    /// Which of the calls the innermost of these lines made.
    pub below: Option<Id>,
    pub marks: StackMarks,
}

/// So many stacks are told apart; each takes some hundred bytes.
const MOST_STACKS: usize = 65_536;

/// How many samples each stack has, in bounded memory.
#[derive(Default)]
pub(crate) struct StackCounts {
    pub counts: HashMap<Path, u64>,
    /// Samples of which the outermost function and the innermost line are kept only.
    pub shortened: u64,
}

impl StackCounts {
    /// So many samples more have this stack.
    pub fn add(&mut self, path: Path, count: u64) {
        let is_full = self.counts.len() >= MOST_STACKS && !self.counts.contains_key(&path);
        let path = match is_full {
            true => path.shortened(),
            false => path,
        };
        self.shortened += u64::from(is_full) * count;
        *self.counts.entry(path).or_default() += count;
    }
}

impl Path {
    fn shortened(self) -> Self {
        let first = |numbers: Box<[u32]>| numbers.iter().take(1).copied().collect();
        Self {
            calls: first(self.calls),
            spots: first(self.spots),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_stacks_than_are_told_apart_keep_their_beginnings() {
        let mut stacks = StackCounts::default();
        let path = |last: usize| Path {
            tid: 1,
            doing: Doing::Running,
            calls: Box::new([7, last as Id]),
            spots: Box::new([3, 4]),
            below: None,
            marks: StackMarks::default(),
        };
        let many = MOST_STACKS + 100;
        for last in 0..many {
            stacks.add(path(last), 2);
        }
        stacks.add(path(0), 1);
        assert_eq!(stacks.counts.len(), MOST_STACKS + 1);
        assert_eq!(stacks.shortened, 200);
        assert_eq!(stacks.counts[&path(0)], 3);
        assert_eq!(stacks.counts[&path(many).shortened()], 200);
        assert_eq!(stacks.counts.values().sum::<u64>(), 2 * many as u64 + 1);
    }
}
