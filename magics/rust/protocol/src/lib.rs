//! What the kernel and the compiler of Rust cells say to each other: one JSON object a line, questions on the compiler's
//! standard input, answers on its standard output. What it does meanwhile stands on its standard error, a line each.
//!
//! Each question gets one answer, and the next is asked after it, with two exceptions. [`Question::Cancel`] makes the one
//! before fail, and gets no answer of its own. [`Question::Look`] may be asked at any time, and is answered whenever
//! something is known; whoever asked need not wait for that.

use serde::{Deserialize, Serialize};

/// What the kernel asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Question {
    /// Compile a cell.
    Compile(Compile),
    /// Forget all items and dependencies.
    Reset,
    /// Say what is known.
    Status,
    /// Stop compiling.
    Cancel,
    /// Say what could stand, or what stands, at a place of a cell that is being written.
    Look(Look),
}

/// A place in a cell that is being written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// Which question this is; its answers have the same number.
    pub number: u64,
    /// The cell as far as it is written.
    pub cell: Compile,
    /// The place: a byte of its source.
    pub at: usize,
    /// Whether it is asked what stands there; otherwise, what could stand there.
    pub explain: bool,
}

/// What is known about a place.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Which question is answered.
    pub number: u64,
    /// Whether all is known; otherwise another answer follows.
    pub is_all: bool,
    /// The bytes of the source that a completion replaces.
    pub start: usize,
    /// Their end.
    pub end: usize,
    /// What could stand there, the likeliest first.
    pub completions: Vec<Completion>,
    /// What stands there, as plain text.
    pub plain: String,
    /// The same as Markdown.
    pub markdown: String,
}

/// What could stand at a place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completion {
    /// The text.
    pub text: String,
    /// What it is, in the words of front ends: `function`, `class`, `module`, `instance`, `keyword`.
    pub kind: String,
    /// Its type or its signature, if known.
    pub signature: String,
}

/// A cell to be compiled.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compile {
    /// The number in `In[...]`.
    pub cell: u32,
    /// How many lines stand above the source in the cell.
    pub lines_above: u32,
    /// The cell without the magic's line.
    pub source: String,
    /// What it borrows, in the order of the arguments.
    pub binds: Vec<Bind>,
    /// The variables that it hands over, in the order of the results.
    pub outputs: Vec<String>,
    /// The variables that it keeps for later cells, in the order of the results behind those.
    pub keeps: Vec<String>,
    /// The variables that earlier cells have kept.
    pub kept: Vec<Kept>,
    /// `0` to `3`, `s` or `z`; as a crate of cells is compiled by default if empty.
    pub opt_level: String,
    /// Whether all instructions of this processor may be used.
    pub native: bool,
    /// Whether Python wants to call its public functions.
    pub exports: bool,
    /// Names of Python's variables, for advice only.
    pub names: Vec<String>,
}

/// A variable of Rust that outlives its cell.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Kept {
    /// Its name.
    pub name: String,
    /// Its type, as the cell that made it has it.
    pub rust: String,
    /// A number for all that the type is made from.
    pub made_from: String,
}

/// A variable that a cell borrows.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Bind {
    /// Its name in Python and in the cell.
    pub name: String,
    /// The Rust type of it, or of its items.
    pub rust: String,
    /// How it is borrowed.
    pub form: Form,
    /// Whether the cell may write to it.
    pub mutable: bool,
}

/// A function that Python can call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Function {
    /// Its name in both languages.
    pub name: String,
    /// The symbol that it is called by.
    pub entry: String,
    /// What it takes.
    pub parameters: Vec<Bind>,
    /// The type that it gives.
    pub gives: String,
    /// What its comments say.
    pub doc: String,
}

/// How a variable is borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// A number or a truth value.
    Number,
    /// A text.
    Text,
    /// The items of an array without gaps.
    Slice,
    /// An array of so many dimensions as a view of `ndarray`.
    View(usize),
}

/// What the compiler answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// The cell is compiled.
    Compiled(Compiled),
    /// It is not, and the user can see why.
    Failed {
        /// What went wrong, as rustc shows it, with colours.
        report: String,
        /// The first error in one line.
        summary: String,
    },
    /// It is not, because of something beside the cell: no Rust, no linker, no network, a cancelled build.
    Refused {
        /// One sentence that says what to do.
        reason: String,
    },
    /// What is known.
    Status(Status),
    /// What is known about a place.
    Found(Found),
}

/// A compiled cell.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compiled {
    /// The library to load. No other cell's library has this path.
    pub library: String,
    /// Rust's standard library, to be loaded before.
    pub libstd: String,
    /// Where the lines of the generated source come from.
    pub lines: Vec<Lines>,
    /// What Python can call.
    pub functions: Vec<Function>,
    /// The heads of its items, if it has nothing else: they are for later cells.
    #[serde(default)]
    pub only_defines: Vec<String>,
    /// The variables of earlier cells that it borrows, behind what Python exports.
    pub kept: Vec<Kept>,
    /// The variables that it keeps.
    pub keeps: Vec<Kept>,
    /// The source that was given to evcxr.
    pub source: String,
    /// What rustc warns of in the cell, as it shows it, with colours.
    pub warnings: String,
    /// Whether later cells have other items or dependencies than before.
    pub items_changed: bool,
    /// Wall time in nanoseconds.
    pub took_ns: u64,
}

/// Lines of the generated source that come from a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lines {
    /// The first of them in the generated source, from 1.
    pub first: u32,
    /// How many they are.
    pub count: u32,
    /// The number in `In[...]`.
    pub cell: u32,
    /// The line in that cell, from 1, magic's line included.
    pub line: u32,
}

/// What is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// `rustc --version`.
    pub rustc: String,
    /// Whether the sources of the standard library are there, so that completion knows it.
    pub has_sources: bool,
    /// Where cells are built.
    pub folder: String,
    /// The items that later cells can use.
    pub items: Vec<Item>,
    /// The dependencies: name and what was asked for.
    pub dependencies: Vec<(String, String)>,
    /// How many cells were compiled.
    pub cells: u32,
}

/// An item that later cells can use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// `fn`, `struct`, `use` ...
    pub kind: String,
    /// Its name, or its head where it has none.
    pub name: String,
    /// The number in `In[...]`.
    pub cell: u32,
}
