//! Whose the functions of a stack are: the user's, or those of IPython and the kernel, which stand around the cell and are
//! no part of what it did.

use diaphane_cpython::frames::PythonFrame;

use super::kinds::CodeKind;
use super::marks::StackMarks;
use super::sampled::Id;
use crate::magic::Way;
use crate::stacks::authors::{Author, own_module, serves_programs};

/// A native function of a stack.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NativeFrame {
    pub id: Id,
    pub kind: CodeKind,
    pub marks: StackMarks,
    /// Whether it belongs to the kernel.
    pub is_kernel: bool,
}

/// A function of a stack.
#[derive(Debug)]
pub(crate) enum Frame {
    Native(NativeFrame),
    Python(PythonFrame, Author),
}

impl Frame {
    fn is(&self, author: Author) -> bool {
        matches!(self, Self::Python(_, own) if *own == author)
    }

    /// Whether it begins or ends a recording for a program.
    fn is_of_library(&self) -> bool {
        matches!(self, Self::Python(function, _) if serves_programs(&function.file))
    }

    fn is_python(&self) -> bool {
        matches!(self, Self::Python(..))
    }
}

/// Whose time a sample is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    User,
    /// Before the cell, after it, and around it.
    Jupyter,
    /// The cell's last value was displayed.
    Display,
    /// The Python functions of the cell's thread could not be read.
    Unread,
}

/// Whether a function only leads to another one: a decorator's wrapper, or NumPy's way to a loop.
pub(crate) fn is_wrapper(name: &str) -> bool {
    const WAYS: &[&str] = &[
        "dispatcher_vectorcall",
        "ufunc_generic_",
        "PyUFunc_Generalized",
        "generic_wrapped_",
    ];
    name.contains("<locals>") || WAYS.iter().any(|way| name.starts_with(way))
}

/// Which part of a stack counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Of the thread of the cell, what the cell calls.
    Cell,
    /// Of another thread all, unless it is IPython's or the kernel's.
    Thread,
    /// Of the thread of a process all; of a fork, what the cell calls that it was forked in.
    Whole,
}

impl Scope {
    /// Of a thread, by how what is recorded runs.
    pub(crate) fn of(is_main: bool, way: Option<Way>) -> Self {
        match is_main {
            true if way == Some(Way::Process) => Self::Whole,
            true => Self::Cell,
            false => Self::Thread,
        }
    }
}

/// Takes away what runs the cell, from a stack with the innermost function first, and says whose the sample is. `read` is
/// whether its Python functions could be read.
pub(crate) fn cut(frames: &mut Vec<Frame>, scope: Scope, read: bool) -> Whose {
    if frames
        .iter()
        .find(|frame| frame.is_python())
        .is_some_and(Frame::is_of_library)
    {
        return Whose::Jupyter;
    }
    let outermost = frames.iter().rposition(|frame| frame.is(Author::Cell));
    match (outermost, scope) {
        (Some(last), Scope::Cell | Scope::Whole) => frames.truncate(last + 1),
        (None, Scope::Cell) if read => return Whose::Jupyter,
        (None, Scope::Cell) => return Whose::Unread,
        (None, Scope::Thread) if is_begun_by_jupyter(frames) => return Whose::Jupyter,
        _ => {}
    }
    let displays = |frame: &Frame| {
        matches!(frame, Frame::Python(function, Author::Jupyter)
            if super::marks::of_python(&function.function, &function.file).has(StackMarks::DISPLAY))
    };
    match frames.iter().any(displays) {
        true => Whose::Display,
        false => Whose::User,
    }
}

/// Whether what a thread was started for is IPython's or the kernel's. Every thread of Python begins in functions of
/// `threading`, between which the kernel notes whose output the thread's is.
fn is_begun_by_jupyter(frames: &[Frame]) -> bool {
    const BEGINNINGS: &[&str] = &["/threading.py", "/decorator.py"];
    let begins = |file: &str| {
        BEGINNINGS.iter().any(|one| file.ends_with(one)) || own_module(file) == Some("inheritance")
    };
    let mut started = frames.iter().rev().filter_map(|frame| match frame {
        Frame::Python(function, author) if !begins(&function.file) => Some(*author),
        _ => None,
    });
    started.next() == Some(Author::Jupyter)
}

/// How many of the innermost functions are IPython's and the kernel's, called by the user's code: `print`, `display`, a magic.
pub(crate) fn jupyters(frames: &[Frame]) -> usize {
    let users = |frame: &Frame| frame.is_python() && !frame.is(Author::Jupyter);
    let end = frames.iter().position(users).unwrap_or(frames.len());
    let inner = &frames[..end];
    if let Some(last) = inner.iter().rposition(|frame| frame.is(Author::Jupyter)) {
        return last + 1;
    }
    let serves = |frame: &Frame| match frame {
        Frame::Native(native) => {
            native.is_kernel || matches!(native.kind, CodeKind::Libc | CodeKind::Interpreter)
        }
        Frame::Python(..) => false,
    };
    let serving = inner.iter().take_while(|frame| serves(frame)).count();
    let is_kernel = |frame: &Frame| matches!(frame, Frame::Native(native) if native.is_kernel);
    let last = inner[..serving].iter().rposition(is_kernel);
    last.map_or(0, |last| last + 1)
}

/// Whether native functions of ours are there, and none of Python's.
pub(crate) fn are_ours(frames: &[Frame]) -> bool {
    let is_ours = |frame: &Frame| matches!(frame, Frame::Native(native) if native.is_kernel);
    !frames.iter().any(Frame::is_python) && frames.iter().any(is_ours)
}

/// What a stack says about its code.
pub(crate) fn marks(frames: &[Frame]) -> StackMarks {
    let innermost = frames
        .iter()
        .position(Frame::is_python)
        .unwrap_or(frames.len());
    let mut marks = StackMarks::default();
    for (place, frame) in frames.iter().enumerate() {
        marks = marks.and(match frame {
            Frame::Native(native) if place < innermost => native.marks,
            // What a loop calls may be Python again.
            Frame::Native(native) => native.marks.only(StackMarks::LASTING),
            Frame::Python(function, _) => {
                super::marks::of_python(&function.function, &function.file)
            }
        });
    }
    match frames.get(innermost) {
        Some(frame) if frame.is(Author::Cell) => marks.and(StackMarks::DIRECT),
        _ => marks,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CELL: &str = "/tmp/ipykernel_7/1.py";

    fn python(function: &str, file: &str) -> Frame {
        let frame = PythonFrame {
            function: function.into(),
            file: file.into(),
            line: Some(1),
            entered_at: 0,
            entry: true,
            locals: None,
        };
        Frame::Python(frame, Author::of(file))
    }

    fn native(kind: CodeKind, is_kernel: bool) -> Frame {
        Frame::Native(NativeFrame {
            id: 0,
            kind,
            marks: StackMarks::BOXED,
            is_kernel,
        })
    }

    #[test]
    fn what_runs_the_cell_is_not_the_users() {
        let around = || python("run_code", "/x/IPython/core/interactiveshell.py");
        let mut traceback = vec![native(CodeKind::Interpreter, false), around()];
        assert_eq!(cut(&mut traceback, Scope::Cell, true), Whose::Jupyter);
        let mut cell = vec![
            native(CodeKind::Native, false),
            python("<module>", CELL),
            around(),
        ];
        assert_eq!(cut(&mut cell, Scope::Cell, true), Whose::User);
        assert_eq!(cell.len(), 2);
        let hook = python("DisplayHook.__call__", "/x/IPython/core/displayhook.py");
        let mut shown = vec![
            python("__repr__", CELL),
            hook,
            python("<module>", CELL),
            around(),
        ];
        assert_eq!(cut(&mut shown, Scope::Cell, true), Whose::Display);
        let begun = || {
            [
                python("bootstrap_with_context", "<diaphane/inheritance>.py"),
                python("Thread._bootstrap", "/lib/python3.11/threading.py"),
            ]
        };
        let mut library = vec![
            native(CodeKind::Extension, false),
            python("read", "/x/lib.py"),
        ];
        library.extend(begun());
        assert_eq!(cut(&mut library, Scope::Thread, true), Whose::User);
        let mut history = vec![python("run", "/x/IPython/core/history.py")];
        history.extend(begun());
        assert_eq!(cut(&mut history, Scope::Thread, true), Whose::Jupyter);
        let mut program = vec![around()];
        assert_eq!(cut(&mut program, Scope::Whole, true), Whose::User);
        let mut pool = vec![native(CodeKind::OpenMp, false)];
        assert_eq!(cut(&mut pool, Scope::Thread, true), Whose::User);
    }

    #[test]
    fn output_is_the_kernels_below_the_users_line() {
        let write = python("write", "<diaphane/streams>.py");
        let printed = [
            native(CodeKind::Libc, false),
            write,
            python("<module>", CELL),
        ];
        assert_eq!(jupyters(&printed), 2);
        let direct = [
            native(CodeKind::Libc, false),
            native(CodeKind::Native, true),
            native(CodeKind::Interpreter, false),
            python("<module>", CELL),
        ];
        assert_eq!(jupyters(&direct), 2);
        let pool = [
            native(CodeKind::OpenMp, false),
            native(CodeKind::Native, true),
        ];
        assert_eq!(jupyters(&pool), 0, "the kernel only started the thread");
    }

    #[test]
    fn a_mark_of_one_value_holds_for_the_innermost_function_only() {
        let direct = [native(CodeKind::Extension, false), python("<module>", CELL)];
        assert!(marks(&direct).has(StackMarks::BOXED) && marks(&direct).has(StackMarks::DIRECT));
        let inside = [
            python("f", "/x/lib.py"),
            native(CodeKind::Extension, false),
            python("<module>", CELL),
        ];
        assert!(!marks(&inside).has(StackMarks::BOXED) && !marks(&inside).has(StackMarks::DIRECT));
    }
}
