//! Stacks of Python and native functions in one: each call of the interpreter's C function is replaced by the Python
//! functions that it runs.

use std::collections::HashMap;

use diaphane_report::Show;
use diaphane_report::view::text::shorten;
use diaphane_sight::code::lines::Lines;
use diaphane_sight::code::symbols::{Place, place};
use diaphane_sight::elf::demangle::demangle;
use diaphane_sight::linker::libraries::Library;
use diaphane_sight::runtimes::families::{Family, family};
use diaphane_sight::stand_ins::is_stand_in;
use diaphane_sight::threads::{Task, Thread};
use diaphane_sight::unwind;
use diaphane_sight::unwind::{Found, Frame, Missing, SignalSafeCallback, Stack};
use serde::Serialize;

use crate::libraries::names::file_name;
use crate::stacks::authors::serves_programs;
use crate::stacks::snapshot::ProcessSnapshot;
use crate::stacks::woven::{Woven, woven};
use diaphane_cpython::frames::{Functions, PythonFrame};
use diaphane_cpython::interpreter::note;
use diaphane_cpython::locals::{Local, locals};
use diaphane_cpython::reader::{RawFrame, WORDS, unpack};
use diaphane_cpython::symbols::{Evaluates, evaluates, is_interpreter};

/// Letters of a path and a line.
const WIDEST_PLACE: usize = 60;

/// What a frame runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum FrameKind {
    Python,
    Native,
}

/// One function of a stack, for JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct StackFrame {
    pub kind: FrameKind,
    pub function: Option<String>,
    pub library: Option<String>,
    pub file: Option<String>,
    pub line: Option<u32>,
    /// How far into the function, or into the library where the function has no name.
    pub offset: Option<usize>,
    pub found: Option<Found>,
    /// The variables of a Python function; with `--locals`.
    pub locals: Option<Vec<Local>>,
    /// Its library's place in the list.
    #[serde(skip)]
    pub index: Option<usize>,
    /// Where a native function is.
    #[serde(skip)]
    pub address: Option<usize>,
    /// Whether it is a part of the interpreter or of the C library, which says little.
    #[serde(skip)]
    pub plumbing: bool,
}

/// The stack of one thread.
#[derive(Debug, Default, Clone)]
pub(crate) struct MergedStack {
    /// The functions, the innermost first.
    pub calls: Vec<StackFrame>,
    /// What is not as it should be, in a few words.
    pub remarks: Vec<&'static str>,
    /// Whether there is a native stack at all.
    pub native: bool,
}

/// How stacks are to be taken.
#[derive(Clone, Copy, Default)]
pub(crate) struct StackOptions {
    /// With the local variables of Python functions.
    pub locals: bool,
    /// Whether the GIL is held, so that no other thread can run Python.
    pub gil: bool,
}

/// The stacks of all threads of a snapshot, by their numbers.
pub(crate) fn stacks(
    snapshot: &ProcessSnapshot,
    wanted: StackOptions,
) -> HashMap<i32, MergedStack> {
    stacks_of(snapshot, wanted, |_| true)
}

/// The stacks of the threads that are wanted.
pub(crate) fn stacks_of(
    snapshot: &ProcessSnapshot,
    wanted: StackOptions,
    is_wanted: impl Fn(&Thread) -> bool,
) -> HashMap<i32, MergedStack> {
    let asked: Vec<&Thread> = snapshot
        .threads
        .iter()
        .filter(|one| is_wanted(one))
        .collect();
    let state = |tid: i32| snapshot.interpreter.states.get(&tid).copied().unwrap_or(0);
    let callback = SignalSafeCallback {
        note,
        argument: &state,
    };
    let found = unwind::stacks(&asked, &snapshot.libraries, &snapshot.maps, Some(callback));
    let mut functions = Functions::default();
    let mut lines = Lines::default();
    let threads = asked.into_iter().zip(found);
    threads
        .map(|(thread, stack)| {
            let task = Task::new(thread.tid);
            let before = task.run();
            let frames = match &stack {
                Ok(stack) if stack.signalled => unpack(&stack.noted),
                _ => snapshot.interpreter.frames(thread.tid),
            };
            let mut python = functions.of(&frames);
            if wanted.locals {
                read_locals(python.as_deref_mut().unwrap_or_default(), &frames);
            }
            let signalled = stack.as_ref().is_ok_and(|stack| stack.signalled);
            let stood = wanted.gil || (!signalled && before.is_some() && task.run() == before);
            if !stood {
                python
                    .iter_mut()
                    .flatten()
                    .for_each(|function| function.locals = None);
            }
            let mut merged = merge(&snapshot.libraries, &mut lines, stack, python);
            merged.is_a_part(frames.len() >= unwind::WORDS / WORDS);
            (thread.tid, merged)
        })
        .collect()
}

fn read_locals(functions: &mut [PythonFrame], frames: &[RawFrame]) {
    for (function, frame) in functions.iter_mut().zip(frames) {
        function.locals = locals(frame);
    }
}

/// One stack of the native functions and Python's; without these where they changed while they were read.
pub(crate) fn merge(
    libraries: &[Library],
    lines: &mut Lines,
    stack: Result<Stack, Missing>,
    python: Option<Vec<PythonFrame>>,
) -> MergedStack {
    let mut merged = MergedStack::default();
    let python = python.unwrap_or_else(|| {
        merged
            .remarks
            .push("its Python functions changed while they were read");
        Vec::new()
    });
    let entered = python.iter().map(|function| function.entered_at).collect();
    let mut python = python.into_iter();
    match stack {
        Ok(stack) => {
            merged.native = true;
            let runs = evaluations(&stack.frames, entered);
            weave(
                (libraries, lines),
                (&stack, &runs),
                &mut python,
                &mut merged,
            );
            if !stack.complete {
                merged.remarks.push("unwound up to here");
            }
        }
        Err(missing) => merged.remarks.push(why(missing)),
    }
    // What no call of the interpreter stands for, or all of it where there is no native stack.
    // The function of ours by which a program asks is none of its own.
    let asks = |function: &PythonFrame| !merged.native && serves_programs(&function.file);
    let rest = python.skip_while(asks).map(StackFrame::of_python);
    let rest: Vec<StackFrame> = rest.collect();
    if merged.native && !rest.is_empty() {
        merged
            .remarks
            .push("the Python functions at the end could not be placed");
    }
    merged.calls.extend(rest);
    merged
}

/// Which native frames are of the interpreter's C function, by the addresses that lie in them: an interpreter whose
/// instructions are functions of their own goes on in parts that have no names once it is stripped.
fn evaluations(frames: &[Frame], mut entered: Vec<usize>) -> Vec<bool> {
    entered.retain(|address| *address != 0);
    entered.sort_unstable();
    let begins = std::iter::once(0).chain(frames.iter().map(|frame| frame.end));
    let holds_one = |(begin, frame): (usize, &Frame)| {
        let first = entered.partition_point(|address| *address < begin);
        entered
            .get(first)
            .is_some_and(|address| *address < frame.end)
    };
    begins.zip(frames).map(holds_one).collect()
}

/// Adds the native functions, and Python's in place of the interpreter.
fn weave(
    (libraries, lines): (&[Library], &mut Lines),
    (stack, evaluations): (&Stack, &[bool]),
    python: &mut impl Iterator<Item = PythonFrame>,
    merged: &mut MergedStack,
) {
    let places = stack
        .frames
        .iter()
        .zip(evaluations)
        .map(|(frame, runs)| (frame, place(frame.lookup, libraries), *runs));
    let runs = |(_, place, runs): &(&Frame, Option<Place>, bool)| {
        let symbol = place.as_ref().and_then(|place| place.symbol.as_ref());
        let named = symbol.and_then(|symbol| evaluates(&symbol.name));
        named.or_else(|| runs.then_some(Evaluates::Function))
    };
    let woven = woven(places, runs, python, |function| function.entry);
    merged.calls.extend(woven.into_iter().map(|one| match one {
        Woven::Python(function) => StackFrame::of_python(function),
        Woven::Native((frame, place, _)) => StackFrame::of_native(libraries, lines, frame, place),
    }));
}

/// A place in a source that leaves room for the function beside it: of a long path the end says most.
pub(crate) fn short(place: &str) -> String {
    shorten(place, WIDEST_PLACE, Show::Path)
}

fn why(missing: Missing) -> &'static str {
    match missing {
        Missing::Asks => {
            "it is the thread that runs the magic, so only its Python functions are shown"
        }
        Missing::Blocked => "it blocks signals, and its sleep could not be followed",
        Missing::Silent => "it did not answer a signal in time",
        Missing::Refused => "no signal could be sent to it",
        Missing::Gone => "it ended",
        Missing::Runs => {
            "it runs, and no thread was to be stopped, so its native functions are not known"
        }
        Missing::Forbidden => {
            "it runs, and may not be stopped for a moment, so its native functions are not known"
        }
    }
}

impl StackFrame {
    fn of_python(function: PythonFrame) -> Self {
        Self {
            kind: FrameKind::Python,
            function: Some(function.function),
            library: None,
            file: Some(function.file),
            line: function.line,
            offset: None,
            found: None,
            locals: function.locals,
            index: None,
            address: None,
            plumbing: false,
        }
    }

    fn of_native(
        libraries: &[Library],
        lines: &mut Lines,
        frame: &Frame,
        place: Option<Place>,
    ) -> Self {
        let library = place.as_ref().map(|place| &libraries[place.library]);
        let symbol = place.as_ref().and_then(|place| place.symbol.as_ref());
        // Where the compiler made a call of it, the kernel's first function of a thread stands on its stack.
        let is_plumbing = library.is_some_and(|library| {
            is_stand_in(frame.lookup)
                || is_interpreter(library)
                || matches!(
                    family(library),
                    Some(Family::C | Family::Linker | Family::Compiler)
                )
        });
        // Of the interpreter and the C library nobody wants to see more.
        let line = library
            .filter(|_| !is_plumbing)
            .and_then(|library| lines.line(frame.lookup, library));
        let (file, line) = line.map(|line| (line.file, line.line)).unzip();
        Self {
            kind: FrameKind::Native,
            function: symbol.map(|symbol| demangle(&symbol.name)),
            library: library.map(|library| library.name.clone()),
            file,
            line,
            // From the place where the call returns, as other tools count.
            offset: place
                .as_ref()
                .map(|place| place.offset + (frame.address - frame.lookup)),
            found: Some(frame.found),
            locals: None,
            index: place.map(|place| place.library),
            address: Some(frame.address),
            plumbing: is_plumbing,
        }
    }

    /// On one line.
    pub(crate) fn line(&self) -> String {
        let function = self.function.as_deref().unwrap_or("?");
        match self.kind {
            FrameKind::Python => {
                let line = self.line.map_or("?".into(), |line| line.to_string());
                let place = format!("{}:{line}", self.file.as_deref().unwrap_or("?"));
                format!("{function}  {}", short(&place))
            }
            FrameKind::Native => self.native_line(function),
        }
    }

    fn native_line(&self, function: &str) -> String {
        let mut text = function.to_owned();
        if let Some(offset) = self.offset {
            text += &format!("+{offset:#x}");
        }
        let library = self.library.as_deref();
        text += &format!("  {}", library.unwrap_or("outside of all libraries"));
        if let (Some(file), Some(line)) = (&self.file, self.line) {
            // Compilers write whole paths, which the rows have.
            let name = file_name(file);
            text += &format!("  {name}:{line}");
        }
        if self.found == Some(Found::Guess) {
            text += "  (a guess)";
        }
        text
    }
}

impl MergedStack {
    /// Remarks that there may be more functions of Python's than were read.
    pub(crate) fn is_a_part(&mut self, is_full: bool) {
        if is_full {
            self.remarks
                .push("Python has more functions than were read; the outermost are missing");
        }
    }

    /// The innermost function that says what the thread does.
    pub(crate) fn top_frame(&self) -> Option<&StackFrame> {
        let says = self.calls.iter().find(|call| !call.plumbing);
        says.or(self.calls.first())
    }

    /// The same on one line.
    pub(crate) fn top(&self) -> Option<String> {
        let call = self.top_frame()?;
        Some(match call.kind {
            FrameKind::Python => call.line(),
            FrameKind::Native => {
                let function = call.function.as_deref().unwrap_or("?");
                format!("{function}  {}", call.library.as_deref().unwrap_or("?"))
            }
        })
    }

    /// Lines for people: the innermost functions, without the interpreter's own unless everything is asked for.
    pub(crate) fn listing(&self, most: usize, everything: bool) -> Vec<String> {
        let is_shown = |call: &&StackFrame| everything || !call.plumbing;
        let shown = self.calls.iter().filter(is_shown);
        let count = shown.clone().count();
        let mut lines = Vec::new();
        for call in shown.take(most) {
            let mark = if call.kind == FrameKind::Python {
                "py"
            } else {
                "  "
            };
            lines.push(format!("  {mark} {}", call.line()));
            let locals = call.locals.iter().flatten();
            lines.extend(locals.map(|local| format!("       {}", local.line())));
        }
        if count > most {
            lines.push(format!("     and {} more", count - most));
        }
        lines.extend(self.remarks.iter().map(|remark| format!("     ({remark})")));
        lines
    }
}
