//! Where the interpreter of another process is: found by names of its symbols, its version by a number that it exports.

use std::collections::{HashMap, HashSet};

use diaphane_sight::code::symbols::Table;
use diaphane_sight::linker::libraries::{Kind, Library};
use diaphane_sight::proc::spans::Span;
use diaphane_sight::proc::target_process::TargetProcess;
use diaphane_sight::threads::Call;

use crate::layout::{GilPlace, Layout, V3_11, V3_12, V3_13};
use crate::reader::Reader;

/// No more interpreters are looked for.
const MOST: usize = 256;

/// The Python in a process.
pub struct Inside {
    pub version: Option<String>,
    /// How it is read, if its layout is known.
    pub reader: Option<Reader>,
    runtime: Option<Span>,
    unknown: Option<String>,
}

/// The threads of the main interpreter, by the numbers that they have for themselves.
pub struct Interpreters {
    reader: Option<Reader>,
    states: HashMap<i32, usize>,
    /// How many there are besides the main one.
    others: usize,
    /// Who holds a GIL.
    pub holders: HashSet<i32>,
}

impl Inside {
    /// Looks for it in the program and in the libraries.
    pub fn find(subject: TargetProcess, libraries: &[Library]) -> Option<Self> {
        let mut images = libraries.iter();
        let python = images.find(|library| {
            matches!(library.kind, Kind::Program | Kind::Library)
                && library.image.exports("Py_GetVersion")
        });
        let python = python.or_else(|| {
            // A program may keep its own names to itself, as frozen ones do.
            let mut programs = libraries.iter();
            programs.find(|library| {
                library.kind == Kind::Program && data(library, "_PyRuntime").is_some()
            })
        })?;
        let runtime = data(python, "_PyRuntime");
        let version = data(python, "Py_Version")
            .and_then(|place| subject.int(place.start))
            .map(i32::cast_unsigned);
        let layout = match (version.map(|version| version >> 16), runtime) {
            (Some(0x030b), Some(_)) => Ok(V3_11),
            (Some(0x030c), Some(_)) => Ok(V3_12),
            (Some(0x030d), Some(runtime)) => by_table(subject, runtime.start),
            (Some(_), _) => Err("only 3.11 to 3.13 are known"),
            (None, _) => Err("it is older than 3.11, or hides its names"),
        };
        let address = |name| Some(data(python, name)?.start);
        let types = address("PyCode_Type").zip(address("PyUnicode_Type"));
        let reader = types
            .zip(layout.ok())
            .map(|((code_type, text_type), layout)| Reader {
                subject,
                layout,
                code_type,
                text_type,
            });
        let version = version.map(dotted);
        let unknown = layout.err().map(|why| {
            let version = version.as_deref().unwrap_or("?");
            format!("the structures of this Python ({version}) are not known, so its functions are not shown: {why}")
        });
        Some(Self {
            version,
            reader,
            runtime,
            unknown,
        })
    }

    /// The threads of its interpreters. `numbers` are those that the process's threads have for themselves, by ours.
    pub fn interpreters(&self, numbers: &HashMap<i32, i32>, pid: i32) -> Interpreters {
        let mut found = Interpreters {
            reader: self.reader,
            states: HashMap::new(),
            others: 0,
            holders: HashSet::new(),
        };
        let (Some(reader), Some(runtime)) = (self.reader, self.runtime) else {
            return found;
        };
        let layout = &reader.layout.interpreters;
        let word = |address: usize| reader.subject.word(address).unwrap_or(0);
        let mut interpreter = word(runtime.start + layout.head);
        for _ in 0..MOST {
            if interpreter == 0 {
                break;
            }
            let first = word(interpreter + layout.threads);
            let one = reader.threads(runtime.start, interpreter, first);
            // The main interpreter is the oldest one, which is the last. A younger one's thread may have the number of
            // whoever created it, so its functions would be shown of the wrong thread.
            found.states = one.states;
            found.holders.extend(one.holder);
            interpreter = word(interpreter + layout.next);
            found.others += usize::from(interpreter != 0);
        }
        found.after_a_fork(numbers, pid);
        found
    }

    /// Whether a system call waits for the GIL: no other lock lies in the interpreter's own memory.
    pub fn is_gil(&self, call: &Call) -> bool {
        let inside = self
            .runtime
            .is_some_and(|runtime| runtime.contains(call.first));
        inside && call.name == Some("futex")
    }

    /// What is not known, and why.
    pub fn limits(&self, interpreters: &Interpreters) -> Vec<String> {
        let nobody = self.reader.is_some() && interpreters.states.is_empty();
        let nobody = nobody.then(|| "this Python has no thread yet, or none any more".to_owned());
        let others = (interpreters.others > 0).then(|| {
            let others = interpreters.others;
            format!("this Python has interpreters besides the main one ({others}); their functions are not shown, and others may stand at the wrong place in the stack of a thread that runs one")
        });
        let limits = self.unknown.clone().into_iter();
        limits.chain(nobody).chain(others).collect()
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
        let found = Table::of(library).named(name, image.bias());
        let symbol = found.first()?;
        Some(Span::new(symbol.start, symbol.start + symbol.size))
    })
}

/// A version as people write it.
fn dotted(version: u32) -> String {
    let [major, minor, patch, _] = version.to_be_bytes();
    format!("{major}.{minor}.{patch}")
}

/// The layout by the table for debuggers with which `_PyRuntime` begins from 3.13 on.
fn by_table(subject: TargetProcess, runtime: usize) -> Result<Layout, &'static str> {
    /// The table's words that are used, in the order of CPython 3.13's `pycore_runtime.h`.
    const WORDS: usize = 71;
    const COOKIE: &[u8] = b"xdebugpy";
    let raw = subject.bytes(runtime, WORDS * size_of::<u64>());
    let (words, _) = raw.as_chunks::<{ size_of::<u64>() }>();
    let at = |index: usize| {
        words
            .get(index)
            .map_or(0, |word| usize::from_ne_bytes(*word))
    };
    if !raw.starts_with(COOKIE) {
        return Err("its table for debuggers is not there");
    }
    if at(2) != 0 {
        return Err("it is built without the GIL");
    }
    let mut layout = V3_13;
    layout.interpreters.head = at(5);
    layout.interpreters.next = at(8);
    layout.interpreters.threads = at(9);
    layout.gil.place = GilPlace::Interpreter(at(14));
    layout.gil.locked = at(17).wrapping_sub(at(15));
    layout.gil.holder = at(18).wrapping_sub(at(15));
    layout.thread.next = at(21);
    layout.thread.top = at(23);
    layout.thread.native_id = at(25);
    layout.frame.previous = at(29);
    layout.frame.code = at(30);
    layout.frame.instruction = at(31);
    layout.code.file = at(35);
    layout.code.name = at(37);
    layout.code.lines = at(38);
    layout.code.first_line = at(39);
    layout.code.instructions = at(43);
    layout.text.ascii = at(70);
    Ok(layout)
}
