//! What samples are made of: functions, lines of cells, and stacks of them.

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
