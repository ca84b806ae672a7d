//! Takes samples on the sampling thread: names their functions, merges Python's with the native ones, and adds up equal
//! stacks.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use diaphane_sight::code::symbols::place;
use diaphane_sight::elf::demangle::demangle;
use diaphane_sight::linker::libraries::Library;
use diaphane_sight::proc::tasks;
use diaphane_trace::sampler::{Doing, Sample, Sink};

use super::kinds::CodeKind;
use crate::stacks::woven::{Woven, woven};
use diaphane_cpython::frames::{Functions, PythonFrame};
use diaphane_cpython::reader::unpack;
use diaphane_cpython::symbols::{Evaluates, evaluates};

/// A function that was seen.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct SampledFunction {
    pub kind: CodeKind,
    pub name: String,
    pub library: Option<String>,
    pub file: Option<String>,
    pub line: Option<u32>,
}

/// A number of a function.
pub(crate) type Id = u32;

/// A stack of a thread, the outermost function first.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Path {
    pub tid: i32,
    pub doing: Doing,
    pub calls: Box<[Id]>,
}

/// What was seen.
#[derive(Default)]
pub(crate) struct Gather {
    /// Whether the lines of Python functions are told apart.
    lines: bool,
    /// The thread of the cell, and the file name of its code.
    main: i32,
    file: String,
    libraries: Arc<Vec<Library>>,
    natives: HashMap<usize, Native>,
    code: Functions,
    ids: HashMap<SampledFunction, Id>,
    pub functions: Vec<SampledFunction>,
    /// How many samples each stack has.
    pub paths: HashMap<Path, u64>,
    pub samples: u64,
    /// Samples whose stack does not reach the thread's first function.
    pub truncated: u64,
    /// Samples whose way outwards had to be searched for, and was found.
    pub joined: u64,
    /// Samples whose Python functions changed while they were read, or had no place.
    pub unplaced: u64,
    pub names: HashMap<i32, String>,
}

/// A native function at an address.
#[derive(Clone, Copy)]
struct Native {
    id: Id,
    evaluates: Option<Evaluates>,
}

impl Gather {
    pub(crate) fn new(main: i32, file: &str, lines: bool) -> Self {
        Self {
            main,
            file: file.to_owned(),
            lines,
            ..Self::default()
        }
    }

    fn id(&mut self, function: SampledFunction) -> Id {
        if let Some(&id) = self.ids.get(&function) {
            return id;
        }
        let id = Id::try_from(self.functions.len()).unwrap_or(Id::MAX);
        self.functions.push(function.clone());
        self.ids.insert(function, id);
        id
    }

    fn native(&mut self, address: usize) -> Native {
        if let Some(&known) = self.natives.get(&address) {
            return known;
        }
        let libraries = Arc::clone(&self.libraries);
        let place = place(address, &libraries);
        let library = place.as_ref().map(|place| &libraries[place.library]);
        let symbol = place.as_ref().and_then(|place| place.symbol.as_ref());
        let raw = symbol.map(|symbol| symbol.name.as_str());
        let name = match (raw, &place) {
            (Some(name), _) => demangle(name),
            // Code without a name is told apart by its place, in pieces of the size of a page.
            (None, Some(place)) => format!("+{:#x}", place.offset & !0xfff),
            (None, None) => "?".to_owned(),
        };
        let function = SampledFunction {
            kind: library.map_or(CodeKind::Native, |library| CodeKind::of(raw, library)),
            name,
            library: library.map(|library| library.name.clone()),
            file: None,
            line: None,
        };
        let native = Native {
            id: self.id(function),
            evaluates: raw.and_then(evaluates),
        };
        self.natives.insert(address, native);
        native
    }

    fn python(&mut self, frame: PythonFrame) -> Id {
        let line = frame.line.filter(|_| self.lines);
        self.id(SampledFunction {
            kind: CodeKind::Python,
            name: frame.function,
            library: None,
            file: Some(frame.file),
            line,
        })
    }

    /// The functions of a sample, the outermost first.
    fn calls(&mut self, sample: &Sample) -> Vec<Id> {
        let python = self.code.of(&unpack(&sample.stack.noted));
        self.unplaced += u64::from(python.is_none()) * u64::from(sample.count);
        let mut python = python.unwrap_or_default().into_iter();
        let natives: Vec<Native> = sample
            .stack
            .frames
            .iter()
            .map(|frame| self.native(frame.lookup))
            .collect();
        let woven = woven(
            natives.into_iter(),
            |native| native.evaluates,
            &mut python,
            |function| function.entry,
        );
        let cell = |function: &PythonFrame| function.file == self.file;
        let is_cell: Vec<bool> = woven
            .iter()
            .map(|one| matches!(one, Woven::Python(function) if cell(function)))
            .collect();
        // What is outside of the cell on its own thread is how the cell was run.
        let inside = is_cell.iter().rposition(|is_cell| *is_cell);
        let end = match inside {
            Some(last) if sample.tid == self.main => last + 1,
            _ => woven.len(),
        };
        let mut calls: Vec<Id> = Vec::with_capacity(end);
        for one in woven.into_iter().take(end) {
            let id = match one {
                Woven::Native(native) => native.id,
                Woven::Python(function) => self.python(function),
            };
            calls.push(id);
        }
        self.without_plumbing(&mut calls);
        calls.reverse();
        calls
    }

    /// Drops what the interpreter does between one function and the next; what it does by itself stays.
    fn without_plumbing(&self, calls: &mut Vec<Id>) {
        let is_own = |id: &Id| self.functions[*id as usize].kind == CodeKind::Interpreter;
        let first = calls.iter().position(|id| !is_own(id));
        let Some(first) = first else { return };
        let rest = calls.split_off(first);
        calls.extend(rest.into_iter().filter(|id| !is_own(id)));
    }

    fn pseudo(&mut self, kind: CodeKind, name: &str) -> Id {
        self.id(SampledFunction {
            kind,
            name: name.to_owned(),
            library: None,
            file: None,
            line: None,
        })
    }

    /// The threads that were seen.
    pub(crate) fn threads(&self) -> HashSet<i32> {
        self.paths.keys().map(|path| path.tid).collect()
    }
}

impl Sink for Gather {
    fn loaded(&mut self, libraries: &Arc<Vec<Library>>) {
        self.natives.clear();
        self.libraries = Arc::clone(libraries);
    }

    fn moment(&mut self) {
        self.code = Functions::default();
    }

    fn sample(&mut self, sample: Sample) {
        let count = u64::from(sample.count);
        if count == 0 {
            return;
        }
        self.names
            .entry(sample.tid)
            .or_insert_with(|| comm(sample.tid));
        self.samples += count;
        match (sample.stack.complete, sample.stack.searched) {
            (false, _) => self.truncated += count,
            (true, true) => self.joined += count,
            (true, false) => {}
        }
        let mut calls = self.calls(&sample);
        match sample.doing {
            Doing::Running => {}
            Doing::Waiting => calls.push(self.pseudo(CodeKind::Wait, "(waits in Linux)")),
            Doing::WaitingForGil => {
                calls.push(self.pseudo(CodeKind::GilWait, "(waits for the GIL)"))
            }
        }
        let path = Path {
            tid: sample.tid,
            doing: sample.doing,
            calls: calls.into(),
        };
        *self.paths.entry(path).or_default() += count;
    }
}

/// What the kernel calls a thread.
fn comm(tid: i32) -> String {
    tasks::name(tid).unwrap_or_else(|| "?".to_owned())
}
