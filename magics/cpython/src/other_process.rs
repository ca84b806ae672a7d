//! Where the interpreter of another process is: found by names of its symbols, its version by a number that it exports.

use std::collections::{HashMap, HashSet};

use diaphane_sight::code::symbols::Table;
use diaphane_sight::linker::libraries::{Library, LibraryKind};
use diaphane_sight::proc::spans::Span;
use diaphane_sight::proc::target_process::TargetProcess;
use diaphane_sight::threads::Call;

use crate::interpreter::{Interpreter, is_gil_wait};
use crate::reader::Reader;
use crate::support::{NO_GIL, sentence};
use crate::symbols::is_interpreter;
use crate::versions::{Unknown, Version, layout};

/// No more interpreters are looked for.
const MOST: usize = 256;

/// The Python in a process.
#[derive(Debug)]
pub struct Inside {
    /// As `3.11.7`.
    pub version: Option<String>,
    /// How it is read, if its layout is known.
    pub reader: Option<Reader>,
    runtime: Option<Span>,
    unknown: Option<String>,
}

/// The threads of the main interpreter, by the numbers that they have for themselves.
#[derive(Debug)]
pub struct Interpreters {
    reader: Option<Reader>,
    states: HashMap<i32, usize>,
    /// How many there are besides the main one.
    others: usize,
    /// Whether one of them has a GIL.
    has_gil: bool,
    /// Who holds a GIL.
    pub holders: HashSet<i32>,
}

impl Inside {
    /// Looks for it in the program and in the libraries.
    pub fn find(target: TargetProcess, libraries: &[Library]) -> Option<Self> {
        let mut images = libraries.iter();
        let python = images.find(|library| {
            matches!(library.kind, LibraryKind::Program | LibraryKind::Library)
                && is_interpreter(library)
        });
        let python = python.or_else(|| {
            // A program may keep its own names to itself, as frozen ones do.
            let mut programs = libraries.iter();
            programs.find(|library| {
                library.kind == LibraryKind::Program && data(library, "_PyRuntime").is_some()
            })
        })?;
        let runtime = data(python, "_PyRuntime");
        let version = data(python, "Py_Version")
            .and_then(|place| target.int(place.start))
            .map(|version| Version(version.cast_unsigned()));
        let layout = match (version, runtime) {
            (Some(version), Some(runtime)) => layout(target, runtime.start, version),
            _ => Err(Unknown::Nameless),
        };
        let address = |name| Some(data(python, name)?.start);
        let types = address("PyCode_Type").zip(address("PyUnicode_Type"));
        let reader = types
            .zip(layout.ok())
            .map(|((code_type, text_type), layout)| Reader {
                target,
                layout,
                code_type,
                text_type,
            });
        Some(Self {
            version: version.map(|version| version.to_string()),
            reader,
            runtime,
            unknown: layout.err().map(|why| sentence(version, why)),
        })
    }

    /// The threads of its interpreters. `numbers` are those that the process's threads have for themselves, by ours.
    pub fn interpreters(&self, numbers: &HashMap<i32, i32>, pid: i32) -> Interpreters {
        let mut found = Interpreters {
            reader: self.reader,
            states: HashMap::new(),
            others: 0,
            has_gil: false,
            holders: HashSet::new(),
        };
        let (Some(reader), Some(runtime)) = (self.reader, self.runtime) else {
            return found;
        };
        let layout = &reader.layout.interpreters;
        let word = |base: usize, offset: usize| reader.word(base, offset).unwrap_or(0);
        let mut interpreter = word(runtime.start, layout.head);
        for _ in 0..MOST {
            if interpreter == 0 {
                break;
            }
            let first = word(interpreter, layout.threads);
            let one = Interpreter::of(&reader, runtime.start, interpreter, first);
            // The main interpreter is the oldest one, which is the last. A younger one's thread may have the number of
            // whoever created it, so its functions would be shown of the wrong thread.
            found.states = one.states;
            found.holders.extend(one.holder);
            found.has_gil |= one.has_gil;
            interpreter = word(interpreter, layout.next);
            found.others += usize::from(interpreter != 0);
        }
        found.after_a_fork(numbers, pid);
        found
    }

    /// Whether a system call waits for the GIL.
    pub fn is_gil(&self, call: &Call) -> bool {
        is_gil_wait(self.runtime, call)
    }

    /// What is not known, and why.
    pub fn limits(&self, interpreters: &Interpreters) -> Vec<String> {
        let nobody = self.reader.is_some() && interpreters.states.is_empty();
        let nobody = nobody.then(|| "this Python has no thread yet, or none any more".to_owned());
        let others = (interpreters.others > 0).then(|| {
            let others = interpreters.others;
            format!("this Python has interpreters besides the main one ({others}); their functions are not shown, and others may stand at the wrong place in the stack of a thread that runs one")
        });
        let is_free = !interpreters.states.is_empty() && !interpreters.has_gil;
        let free = is_free.then(|| NO_GIL.to_owned());
        let limits = self.unknown.clone().into_iter();
        limits.chain(nobody).chain(others).chain(free).collect()
    }
}

impl Interpreters {
    /// Notes the frames of a thread by the number that it has for itself; returns how many words it wrote.
    pub fn note(&self, number: i32, words: &mut [usize]) -> usize {
        let state = self.states.get(&number).copied();
        let place = self.reader.zip(state);
        place.map_or(0, |(reader, state)| reader.note(state, words, 0))
    }

    /// The thread that survived a fork may still have its number of before.
    fn after_a_fork(&mut self, numbers: &HashMap<i32, i32>, pid: i32) {
        let is_known = |number: &i32| numbers.values().any(|known| known == number);
        if self.states.len() != 1 || self.states.keys().any(is_known) {
            return;
        }
        let Some(&main) = numbers.get(&pid) else {
            return;
        };
        self.states = self
            .states
            .drain()
            .map(|(_, state)| (main, state))
            .collect();
        if !self.holders.is_empty() {
            self.holders = HashSet::from([main]);
        }
    }
}

/// Where a variable of an image lies: one that it exports, or else one that its file names.
fn data(library: &Library, name: &str) -> Option<Span> {
    let image = &library.image;
    image.data(name).or_else(|| {
        let found = Table::of(library).named(image.bias()).of(name);
        let symbol = found.first()?;
        Some(Span::new(symbol.start, symbol.start + symbol.size))
    })
}
