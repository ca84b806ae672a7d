//! What a magic is, and what it may look at. It knows no magic.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::error::Error;
use diaphane_report::{Report, Schema};

/// A question that can be asked.
pub(crate) trait Magic {
    /// The name after the percent sign.
    const NAME: &'static str;
    /// Whether it stands on a line or above a cell.
    const FORM: Form = Form::Line;
    /// Whether a statement may stand on its line, which is run as the cell; with which options this is as if it was asked.
    const STATEMENT: Option<&'static str> = None;
    /// The questions that people have when they need it, each with what to write behind the name: `%diaphane` lists them.
    const QUESTIONS: Questions;
    /// What its reports hold: the fields, each with its meaning and its source.
    const SCHEMA: &'static Schema;
    /// What may stand on the line; its documentation is the magic's.
    type Args: clap::Args + 'static;

    /// Whether the question may be asked twice: it leaves nothing behind, takes its time only for looking, and its
    /// answer does not depend on when it was asked last.
    fn only_looks(_args: &Self::Args) -> bool {
        true
    }

    /// Whether it records what goes on while a cell runs, above which it stands.
    const RECORDS: bool = false;

    /// Whether it changes what the user has or sees, or runs what stands behind it.
    const CHANGES: bool = Self::STATEMENT.is_some();

    /// Answers.
    fn run(_args: &Self::Args, _context: &Context<'_, '_>) -> Result<Report, Error> {
        Err(Error::Usage(format!(
            "%%{} needs something to record",
            Self::NAME
        )))
    }

    /// Begins to record, if that is what it does.
    fn begin(
        _args: &Self::Args,
        _code: &RecordedCode,
        _context: &Context<'_, '_>,
    ) -> Result<Box<dyn Recording>, Error> {
        Err(Error::Usage(format!("%{} records nothing", Self::NAME)))
    }
}

/// What goes on until somebody ends it, on the thread where it began. All that was changed for it is undone when it ends,
/// and when it is dropped.
pub(crate) trait Recording {
    /// Whether the code is to run once more.
    fn wants_more(&self) -> bool {
        false
    }

    /// It is over. What was seen.
    fn end(
        self: Box<Self>,
        code: &RecordedCode,
        user: User<'_, '_>,
        ran: Ran,
    ) -> Result<Report, Error>;
}

/// How the code ran.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ran {
    /// How often.
    pub runs: u64,
    /// Whether IPython has shown an error of it.
    pub failed: bool,
}

impl Ran {
    /// As a block does, whose error nobody shows before the recording has ended.
    pub const ONCE: Self = Self {
        runs: 1,
        failed: false,
    };
}

/// The code that a recording is about: a cell, a function, or what stands in a block.
#[derive(Debug)]
pub(crate) struct RecordedCode {
    /// The file name of its code.
    pub file: Py<PyString>,
    /// The variables that it names.
    pub names: Vec<String>,
    /// Its text, in which the lines have the numbers of the notebook, or of the file.
    pub source: String,
    /// Where its lines stand, as people write it: `In[3]`, or `script.py`.
    pub home: Option<String>,
    /// How it runs.
    pub way: Way,
}

/// How recorded code runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// We run it, as a module: nothing else counts, and all that it calls lies below this address of the stack.
    Module { floor: usize },
    /// It runs already, and goes on when the recording has begun.
    Block,
    /// All that a process does counts, whatever it is: it is a child of one whose recording is about children too.
    Process,
}

impl RecordedCode {
    /// One of its lines, as people write it.
    pub fn place(&self, line: u32) -> String {
        match &self.home {
            Some(home) => format!("{home}:{line}"),
            None => format!("line {line}"),
        }
    }

    /// About the address of the stack below which all lies that it calls; 0 where that may be anywhere.
    pub fn floor(&self) -> usize {
        match self.way {
            Way::Module { floor } => floor,
            Way::Block | Way::Process => 0,
        }
    }
}

/// About the caller's stack pointer: everything that the caller calls lies below.
#[inline(never)]
pub(crate) fn stack_pointer() -> usize {
    let here = std::hint::black_box(0_u8);
    (&raw const here).addr()
}

/// Questions, each with what to write behind the name of the magic that answers it; `%%` is for one that stands above a
/// cell, though it may stand on a line as well.
pub(crate) type Questions = &'static [(&'static str, &'static str)];

/// How a magic is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// `%name`, on one line.
    Line,
    /// `%%name`, above the cell that it runs.
    Cell,
    /// Either.
    LineOrCell,
}

impl Form {
    /// The name with its percent signs.
    pub fn write(self, name: &str) -> String {
        match self {
            Self::Line | Self::LineOrCell => format!("%{name}"),
            Self::Cell => format!("%%{name}"),
        }
    }

    /// The kinds that IPython registers it as.
    pub fn kinds(self) -> &'static [&'static str] {
        match self {
            Self::Line => &["line"],
            Self::Cell => &["cell"],
            Self::LineOrCell => &["line", "cell"],
        }
    }
}

/// What a magic may look at besides the process.
pub(crate) struct Context<'a, 'py> {
    /// Python, unless the question came from a thread that does not hold the GIL.
    pub user: Option<User<'a, 'py>>,
    /// The cell below the magic.
    pub cell: Option<&'a str>,
    /// Asks another magic by its name, with a line of its own and this context.
    pub ask: Ask,
    /// Has another magic record, in the same way.
    pub begin: Begin,
    /// All magics with their percent signs, and the questions that they answer.
    pub all: fn() -> Vec<(String, Questions)>,
}

/// How a magic asks another one, which it knows by name only.
pub(crate) type Ask = fn(&str, &str, &Context<'_, '_>) -> Result<Report, Error>;

/// How a magic has another one record.
pub(crate) type Begin =
    fn(&str, &str, &RecordedCode, &Context<'_, '_>) -> Result<Box<dyn Recording>, Error>;

/// Python and what the user made in it.
#[derive(Clone, Copy)]
pub(crate) struct User<'a, 'py> {
    pub py: Python<'py>,
    /// The user's variables.
    pub namespace: &'a Bound<'py, PyDict>,
    /// The variables of the function that the magic stands in.
    pub locals: Option<&'a Bound<'py, PyDict>>,
}

impl<'a, 'py> User<'a, 'py> {
    /// Python with the variables of a session, seen from outside of any function.
    pub fn new(py: Python<'py>, namespace: &'a Bound<'py, PyDict>) -> Self {
        Self {
            py,
            namespace,
            locals: None,
        }
    }

    /// What a name stands for where the magic stands.
    pub fn variable(&self, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        let local = self.locals.map(|locals| locals.get_item(name));
        match local.transpose()?.flatten() {
            Some(local) => Ok(Some(local)),
            None => self.namespace.get_item(name),
        }
    }

    /// All names that mean something there.
    pub fn names(&self) -> Vec<String> {
        let locals = self.locals.into_iter().flat_map(PyDictMethods::keys);
        let names = locals.chain(self.namespace.keys());
        names.filter_map(|name| name.extract().ok()).collect()
    }
}

impl<'a, 'py> Context<'a, 'py> {
    /// Python, for a magic that cannot answer without.
    pub fn user(&self) -> Result<User<'a, 'py>, Error> {
        self.user.ok_or(Error::NeedsPython)
    }

    /// Looks at the process while Python's other threads go on.
    pub fn without_gil<T: Send>(&self, look: impl FnOnce() -> T + Send) -> T {
        match self.user {
            Some(user) => user.py.detach(look),
            None => look(),
        }
    }
}
