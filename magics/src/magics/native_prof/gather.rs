//! Takes samples on the sampling thread: names their functions, merges Python's with the native ones, leaves out what is not
//! the user's, and adds up equal stacks.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use diaphane_sight::code::symbols::place;
use diaphane_sight::elf::readable::readable;
use diaphane_sight::linker::libraries::Library;
use diaphane_sight::runtimes::pool_libraries::runtime;
use diaphane_sight::stand_ins::is_stand_in;
use diaphane_sight::threads::is_own_thread;
use diaphane_trace::sampler::{Doing, Sample, Sink};

use super::comm::{comm, comm_of_process};
use super::frames::{self, Frame, NativeFrame, Scope, Whose};
use super::kinds::CodeKind;
use super::marks::{self, StackMarks};
use super::sampled::{Id, NAMELESS, Path, SampledFunction, Spot, StackCounts};
use crate::libraries::names::{short, with_package};
use crate::magic::Way;
use crate::stacks::authors::Author;
use crate::stacks::woven::{Woven, woven};
use diaphane_cpython::frames::{Functions, PythonFrame};
use diaphane_cpython::reader::unpack;
use diaphane_cpython::symbols::{Evaluates, evaluates};

/// What was seen.
#[derive(Default)]
pub(crate) struct Gather {
    /// Whether the lines of Python functions are told apart.
    lines: bool,
    /// The thread of the cell, and the file name of its code.
    pub main: i32,
    file: String,
    /// How what is recorded runs; of what is no module, functions of ours begin and end the recording.
    pub way: Option<Way>,
    /// An address in the kernel's own code, by which its library is known.
    kernel: usize,
    libraries: Arc<Vec<Library>>,
    natives: HashMap<usize, Native>,
    code: Functions,
    ids: HashMap<SampledFunction, Id>,
    spot_ids: HashMap<Spot, u32>,
    pub functions: Vec<SampledFunction>,
    pub spots: Vec<Spot>,
    pub stacks: StackCounts,
    /// The user's samples.
    pub samples: u64,
    /// How often that was looked at, for who waits; a thread without a CPU gets many samples by one look.
    looks: Arc<AtomicU64>,
    /// Samples of what stands around the cell, and of the display of its value.
    pub around: u64,
    pub display: u64,
    /// Samples of the cell's thread whose Python functions changed while they were read.
    pub unread: u64,
    /// Samples whose stack does not reach the thread's first function.
    pub truncated: u64,
    /// Samples whose way outwards had to be searched for, and was found.
    pub joined: u64,
    /// Samples whose Python functions changed while they were read, or had no place.
    pub unplaced: u64,
    pub names: HashMap<i32, String>,
    /// Threads that turned out to be the kernel's.
    own: HashSet<i32>,
}

/// A native function at an address.
#[derive(Clone, Copy)]
struct Native {
    frame: NativeFrame,
    evaluates: Option<Evaluates>,
    /// Its library's place in the list.
    library: Option<usize>,
}

/// What a sample shows.
struct Shown {
    calls: Vec<Id>,
    spots: Vec<u32>,
    below: Option<Id>,
    marks: StackMarks,
    whose: Whose,
}

impl Gather {
    pub(crate) fn new(main: i32, file: &str, lines: bool) -> Self {
        Self {
            main,
            file: file.to_owned(),
            lines,
            kernel: Self::new as *const () as usize,
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

    fn spot(&mut self, spot: Spot) -> u32 {
        let next = self.spots.len() as u32;
        let id = *self.spot_ids.entry(spot.clone()).or_insert(next);
        if id == next {
            self.spots.push(spot);
        }
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
        let name = match (raw, library) {
            (Some(name), _) => readable(name),
            (None, Some(library)) => format!(
                "{} {NAMELESS}",
                with_package(&library.name, library.path.as_deref())
            ),
            (None, None) => "?".to_owned(),
        };
        let kind = library.map_or(CodeKind::Native, |library| CodeKind::of(raw, library));
        let marks = library.map_or_else(StackMarks::default, |library| {
            marks::of_function(address, raw, library, kind == CodeKind::Interpreter)
        });
        let is_kernel = library.is_some_and(|library| library.span.contains(self.kernel));
        let function = SampledFunction {
            kind,
            symbol: raw.filter(|raw| *raw != name).map(str::to_owned),
            name,
            library: library.map(|library| library.name.clone()),
            file: None,
            line: None,
        };
        let frame = NativeFrame {
            id: self.id(function),
            kind,
            marks,
            is_kernel: is_kernel && !is_stand_in(address),
        };
        let native = Native {
            frame,
            evaluates: raw.and_then(evaluates),
            library: place.map(|place| place.library),
        };
        self.natives.insert(address, native);
        native
    }

    fn python(&mut self, frame: PythonFrame) -> Id {
        let line = frame.line.filter(|_| self.lines);
        self.id(SampledFunction {
            kind: CodeKind::Python,
            name: frame.function,
            symbol: None,
            library: None,
            file: Some(frame.file),
            line,
        })
    }

    /// What a sample shows of the user's code.
    fn shown(&mut self, sample: &Sample) -> Shown {
        let python = self.code.of(&unpack(&sample.stack.noted));
        let read = python.is_some();
        let mut python = python.unwrap_or_default().into_iter();
        let frames = sample.stack.frames.iter();
        let natives: Vec<Native> = frames.map(|frame| self.native(frame.lookup)).collect();
        if python.len() == 0 {
            self.name_pool(sample.tid, &natives);
        }
        let woven = woven(
            natives.into_iter(),
            |native| native.evaluates,
            &mut python,
            |function| function.entry,
        );
        let frame = |one: Woven<Native, PythonFrame>| match one {
            Woven::Native(native) => Frame::Native(native.frame),
            Woven::Python(function) => {
                let is_cell = function.file == self.file;
                let author = if is_cell {
                    Author::Cell
                } else {
                    Author::of(&function.file)
                };
                Frame::Python(function, author)
            }
        };
        let mut frames: Vec<Frame> = woven.into_iter().map(frame).collect();
        let scope = Scope::of(sample.tid == self.main, self.way);
        let whose = frames::cut(&mut frames, scope, read);
        self.unplaced += u64::from(!read && whose == Whose::User) * u64::from(sample.count);
        let marks = frames::marks(&frames);
        let rest = frames.split_off(frames::jupyters(&frames));
        // In a program it is what begins or ends the recording.
        let ends =
            !matches!(self.way, Some(Way::Module { .. }) | None) && frames::are_ours(&frames);
        let whose = if ends { Whose::Jupyter } else { whose };
        self.calls(rest, !frames.is_empty(), marks, whose)
    }

    /// The functions of the user's code, and whether the innermost one called IPython or the kernel.
    fn calls(
        &mut self,
        frames: Vec<Frame>,
        calls_jupyter: bool,
        marks: StackMarks,
        whose: Whose,
    ) -> Shown {
        let mut calls: Vec<Id> = Vec::with_capacity(frames.len() + 1);
        if calls_jupyter {
            calls.push(self.pseudo(CodeKind::Jupyter, "(IPython and the kernel)"));
        }
        let has_python = frames.iter().any(|one| matches!(one, Frame::Python(..)));
        let (mut spots, mut below) = (Vec::new(), None);
        for frame in frames {
            match frame {
                // The interpreter's functions are what it does for the Python function around them.
                Frame::Native(native) if native.kind == CodeKind::Interpreter && has_python => {}
                Frame::Native(native) if native.is_kernel => {}
                Frame::Python(_, Author::Jupyter) => {}
                Frame::Native(native) => calls.push(native.id),
                Frame::Python(function, author) => {
                    let spot = function
                        .line
                        .filter(|_| author == Author::Cell)
                        .map(|line| {
                            let file = function.file.clone();
                            self.spot(Spot { file, line })
                        });
                    if spots.is_empty() && spot.is_some() {
                        below = self.called(&calls);
                    }
                    spots.extend(spot);
                    calls.push(self.python(function));
                }
            }
        }
        calls.reverse();
        let mut once = HashSet::new();
        spots.retain(|spot| once.insert(*spot));
        Shown {
            calls,
            spots,
            below,
            marks,
            whose,
        }
    }

    /// What a line has called: the outermost of the functions below it that does something of its own.
    fn called(&self, calls: &[Id]) -> Option<Id> {
        let passes_on = |id: &&Id| frames::is_wrapper(&self.functions[**id as usize].name);
        let own = calls.iter().rev().find(|id| !passes_on(id));
        own.or(calls.last()).copied()
    }

    /// A thread without Python that has the process's name belongs to the library in which it began.
    fn name_pool(&mut self, tid: i32, natives: &[Native]) {
        let begins = |native: &&Native| {
            let plain = matches!(native.frame.kind, CodeKind::Libc | CodeKind::Interpreter);
            // Each thread begins in what stands in for the C library's functions.
            let ours = |library: usize| self.libraries[library].span.contains(self.kernel);
            !plain && !native.library.is_some_and(ours)
        };
        let Some(library) = natives
            .iter()
            .rev()
            .find(begins)
            .and_then(|one| one.library)
        else {
            return;
        };
        let library = &self.libraries[library];
        let name = runtime(library).map_or(short(&library.name), |runtime| runtime.name);
        let known = self.names.entry(tid).or_insert_with(|| comm(tid));
        if Some(&*known) == comm_of_process().as_ref() {
            *known = format!("{name} pool");
        }
    }

    fn pseudo(&mut self, kind: CodeKind, name: &str) -> Id {
        self.id(SampledFunction {
            kind,
            name: name.to_owned(),
            symbol: None,
            library: None,
            file: None,
            line: None,
        })
    }

    /// How often the user's code was looked at so far.
    pub(crate) fn looks(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.looks)
    }

    /// Takes away what was seen of threads that turned out to be the kernel's.
    pub(crate) fn without_own_threads(&mut self) {
        let own = std::mem::take(&mut self.own);
        let dropped = self
            .stacks
            .counts
            .extract_if(|path, _| own.contains(&path.tid));
        let dropped: u64 = dropped.map(|(_, count)| count).sum();
        self.samples -= dropped;
    }

    /// The threads that were seen.
    pub(crate) fn threads(&self) -> HashSet<i32> {
        self.stacks.counts.keys().map(|path| path.tid).collect()
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
        // A thread may have begun a moment ago, and say only now that it is the kernel's.
        if is_own_thread(sample.tid) {
            self.own.insert(sample.tid);
            return;
        }
        self.names
            .entry(sample.tid)
            .or_insert_with(|| comm(sample.tid));
        let mut shown = self.shown(&sample);
        match shown.whose {
            Whose::User => {}
            Whose::Jupyter => {
                self.around += count;
                return;
            }
            Whose::Display => {
                self.display += count;
                return;
            }
            // They may be the cell's or not.
            Whose::Unread => {
                self.unread += count;
                return;
            }
        }
        self.samples += count;
        let looks = match sample.doing {
            Doing::Running => 1,
            Doing::Waiting | Doing::WaitingForGil => count,
        };
        self.looks.fetch_add(looks, Ordering::Relaxed);
        match (sample.stack.complete, sample.stack.searched) {
            (false, _) => self.truncated += count,
            (true, true) => self.joined += count,
            (true, false) => {}
        }
        match sample.doing {
            Doing::Running => {}
            Doing::Waiting => {
                let wait = self.pseudo(CodeKind::Wait, "(waits in Linux)");
                shown.calls.push(wait);
            }
            Doing::WaitingForGil => {
                let wait = self.pseudo(CodeKind::GilWait, "(waits for the GIL)");
                shown.calls.push(wait);
            }
        }
        let path = Path {
            tid: sample.tid,
            doing: sample.doing,
            calls: shown.calls.into(),
            spots: shown.spots.into(),
            below: shown.below,
            marks: shown.marks,
        };
        self.stacks.add(path, count);
    }
}
