//! What a magic is, and what it may look at. It knows no magic.

use pyo3::prelude::*;
use pyo3::types::PyDict;

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
    type Args: clap::Args;

    /// Whether the question may be asked twice: it leaves nothing behind, takes its time only for looking, and its
    /// answer does not depend on when it was asked last.
    fn only_looks(_args: &Self::Args) -> bool {
        true
    }

    /// Answers.
    fn run(args: &Self::Args, context: &Context<'_, '_>) -> Result<Report, Error>;
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
    /// All magics with their percent signs, and the questions that they answer.
    pub all: fn() -> Vec<(String, Questions)>,
}

/// How a magic asks another one, which it knows by name only.
pub(crate) type Ask = fn(&str, &str, &Context<'_, '_>) -> Result<Report, Error>;

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
