//! A magic that is asked by a message and not in a cell: the answer as JSON, with or without Python.
//!
//! While a cell holds the GIL, everything that is not a Python object can still be looked at.

use pyo3::prelude::*;
use serde_json::{Map, Value};

use crate::cli::Line;
use crate::error::Error;
use crate::magic::{Context, User};
use crate::python::ipython;
use crate::registry::{self, ALL, Entry, guarded, unknown};
use diaphane_report::view::Bundle;

/// How wide the text is: as a terminal that nobody made wider.
const WIDTH: usize = 80;

/// Why there is no answer: an exception's name, and a sentence.
#[derive(Debug)]
pub struct Refusal {
    /// `UsageError` where the line is to blame, `GilHeld` where only Python could have answered.
    pub ename: &'static str,
    /// What is wrong, and what to do.
    pub evalue: String,
}

/// Whether a magic may be asked this line twice and be as if it was asked once.
#[must_use]
pub fn may_ask_twice(name: &str, line: &str) -> bool {
    let magic = ALL.iter().find(|magic| magic.name == name);
    magic.is_some_and(|magic| (magic.only_looks)(line))
}

/// The JSON schemas of the reports of all magics, or of one, by the magics' names.
///
/// # Errors
/// When there is no magic of that name.
pub fn schemas(name: Option<&str>) -> Result<Map<String, Value>, String> {
    let wanted = |magic: &&Entry| name.is_none_or(|name| magic.name == name);
    let schema = |magic: &Entry| (magic.name.to_owned(), magic.schema.json(magic.name));
    let found: Map<_, _> = ALL.iter().filter(wanted).map(schema).collect();
    match name {
        Some(name) if found.is_empty() => Err(unknown(name).to_string()),
        _ => Ok(found),
    }
}

/// How much of a report is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// All of it.
    Unlimited,
    /// No more than stays in a notebook, less than 256 KB.
    Notebook,
}

/// Asks a magic. With Python it sees the user's variables; without, the magic does what it can.
///
/// The answer is the report by MIME type.
///
/// # Errors
/// When the line cannot be understood, the process cannot be looked at, or the magic needs Python and has none.
pub fn ask(py: Option<Python<'_>>, name: &str, line: &str, room: Room) -> Result<Bundle, Refusal> {
    let refuse = |error: Error| Refusal {
        ename: error.name(),
        evalue: error.to_string(),
    };
    let Some(py) = py else {
        return answer(name, line, None, room).map_err(refuse);
    };
    let namespace = ipython::namespace(py).map_err(|error| refuse(error.into()))?;
    let user = User::new(py, &namespace);
    answer(name, line, Some(user), room).map_err(refuse)
}

fn answer(name: &str, line: &str, user: Option<User<'_, '_>>, room: Room) -> Result<Bundle, Error> {
    let magic = ALL.iter().find(|magic| magic.name == name);
    if magic.is_some_and(|magic| magic.takes_statement && !(magic.only_looks)(line)) {
        return Err(Error::Usage(format!(
            "%{name} runs the code behind it, which only a cell does: write the line there"
        )));
    }
    let context = Context {
        user,
        cell: None,
        ask: registry::ask,
        begin: registry::begin,
        all: registry::questions,
    };
    let asked = guarded(name, Line::Text(line), &context)?;
    match (asked.bind, room) {
        (None, Room::Unlimited) => Ok(Bundle::of(&asked.report, WIDTH)?),
        (None, Room::Notebook) => Ok(Bundle::for_notebook(&asked.report, WIDTH)?),
        (Some(_), _) => Err(Error::Usage(format!(
            "%{name}: --as binds a variable, which only a cell can do"
        ))),
    }
}
