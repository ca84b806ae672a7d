//! Completion and explanation inside `%%rust` cells that are being written: the magic's own line is known here, and the
//! Rust below it by the compiler's process, which is given a moment to answer.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use diaphane_rust_protocol::{Compile, Completion, Found, Look};
use numpy::PyUntypedArray;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyComplex, PyFloat, PyInt, PyString};
use serde_json::{Value, json};

use super::{RustArgs, wanted};
use crate::cli;
use crate::cli::Line;
use crate::error::Error;
use crate::magic::User;
use crate::numpy::arrays;
use crate::python::ipython::namespace;
use crate::rust_cells::export::Exports;
use crate::rust_cells::{client, kept};
use diaphane_cpython::dicts::entries;

const HEAD: &str = "%%rust";

/// What could stand at a place of a `%%rust` cell: the content of a `complete_reply`, or None for another cell.
#[pyfunction]
pub(crate) fn rust_complete(
    py: Python<'_>,
    code: &str,
    position: usize,
) -> PyResult<Option<String>> {
    let namespace = namespace(py)?;
    let user = User::new(py, &namespace);
    let Some(place) = CellPosition::of(code, position) else {
        return Ok(None);
    };
    let (range, found) = match place.in_body {
        Some(at) => {
            let found = look(&place, at, false, user).map_err(|error| error.into_exception(py))?;
            let above = code.len() - place.body.len();
            (above + found.start..above + found.end, found.completions)
        }
        None => place.complete_line(user)?,
    };
    Ok(Some(completed(code, &range, &found).to_string()))
}

/// What stands at a place of the Rust of a cell: the content of an `inspect_reply`, or None for anything else.
#[pyfunction]
pub(crate) fn rust_inspect(
    py: Python<'_>,
    code: &str,
    position: usize,
) -> PyResult<Option<String>> {
    let namespace = namespace(py)?;
    let user = User::new(py, &namespace);
    let place = CellPosition::of(code, position);
    let Some((place, at)) = place.and_then(|place| place.in_body.map(|at| (place, at))) else {
        return Ok(None);
    };
    let found = look(&place, at, true, user).map_err(|error| error.into_exception(py))?;
    let data = if found.plain.is_empty() {
        json!({})
    } else {
        json!({"text/plain": found.plain, "text/markdown": found.markdown})
    };
    let is_found = !found.plain.is_empty();
    Ok(Some(
        json!({"status": "ok", "found": is_found, "data": data, "metadata": {}}).to_string(),
    ))
}

/// A `%%rust` cell and a place in it, in bytes.
struct CellPosition<'a> {
    code: &'a str,
    at: usize,
    /// What stands behind the magic's name on its line.
    line: &'a str,
    body: &'a str,
    /// The place in the body, if it is there.
    in_body: Option<usize>,
}

impl<'a> CellPosition<'a> {
    /// Front ends count characters.
    fn of(code: &'a str, position: usize) -> Option<Self> {
        let rest = code.strip_prefix(HEAD)?;
        if rest.starts_with(|next: char| !next.is_whitespace()) {
            return None;
        }
        let at = code.char_indices().nth(position);
        let at = at.map_or(code.len(), |(at, _)| at);
        let (line, body) = rest.split_once('\n').unwrap_or((rest, ""));
        let above = code.len() - body.len();
        let is_below = rest.contains('\n') && at >= above;
        (at >= HEAD.len()).then_some(Self {
            code,
            at,
            line,
            body,
            in_body: is_below.then(|| at - above),
        })
    }

    /// Options, and the names behind them.
    fn complete_line(&self, user: User<'_, '_>) -> PyResult<(Range<usize>, Vec<Completion>)> {
        let before = &self.code[HEAD.len()..self.at];
        let start = before.trim_end_matches(|letter: char| !letter.is_whitespace());
        let word = &before[start.len()..];
        let option = start.split_whitespace().next_back().unwrap_or_default();
        let (typed, found) = match option {
            _ if word.starts_with('-') => (word, options()),
            "-i" | "--in" => (last_name(word), names(user, false)?),
            "-m" | "--mut" => (last_name(word), names(user, true)?),
            "--keep" => (last_name(word), variables(self.body)),
            "-o" | "--out" => {
                let mut all = variables(self.body);
                all.extend(names(user, false)?);
                (last_name(word), all)
            }
            "-O" | "--opt" => {
                let levels = ["0", "1", "2", "3", "s", "z"];
                let levels = levels.iter().map(|level| named(level, "keyword"));
                (word, levels.collect())
            }
            _ => (word, options()),
        };
        let fits = |one: &Completion| one.text.starts_with(typed);
        let found = found.into_iter().filter(fits).collect();
        Ok((self.at - typed.len()..self.at, found))
    }
}

/// The name that is being written in a list of names.
fn last_name(word: &str) -> &str {
    word.rsplit(',').next().unwrap_or_default()
}

fn named(text: &str, kind: &str) -> Completion {
    Completion {
        text: text.to_owned(),
        kind: kind.to_owned(),
        signature: String::new(),
    }
}

/// What the line may have.
fn options() -> Vec<Completion> {
    let command = cli::command::<RustArgs>();
    let described = command.get_arguments().flat_map(|one| {
        let long = one.get_long().map(|long| format!("--{long}"));
        let short = one.get_short().map(|short| format!("-{short}"));
        let help = one.get_help().map(ToString::to_string).unwrap_or_default();
        [short, long]
            .into_iter()
            .flatten()
            .map(move |text| Completion {
                signature: help.clone(),
                ..named(&text, "keyword")
            })
    });
    described.collect()
}

/// Python's variables that can be borrowed.
fn names(user: User<'_, '_>, only_arrays: bool) -> PyResult<Vec<Completion>> {
    let has_arrays = arrays::is_imported(user.py)?;
    let mut names = Vec::new();
    for (name, value) in entries(user.namespace) {
        let is_array = has_arrays && value.cast::<PyUntypedArray>().is_ok();
        let is_single = value.is_instance_of::<PyInt>()
            || value.is_instance_of::<PyFloat>()
            || value.is_instance_of::<PyComplex>()
            || value.is_instance_of::<PyString>()
            || value.is_instance_of::<PyBytes>();
        let name: Option<String> = name.extract().ok();
        let name = name.filter(|name| !name.starts_with('_'));
        if let Some(name) = name.filter(|_| is_array || (is_single && !only_arrays)) {
            names.push(named(&name, "instance"));
        }
    }
    names.sort_by(|one, other| one.text.cmp(&other.text));
    Ok(names)
}

/// The variables of a cell, as far as a look at its lines tells.
fn variables(body: &str) -> Vec<Completion> {
    let words = body.lines().filter_map(|line| {
        let rest = line.trim_start().strip_prefix("let ")?.trim_start();
        let rest = rest.strip_prefix("mut ").unwrap_or(rest);
        let is_of_name = |letter: char| letter.is_alphanumeric() || letter == '_';
        let end = rest
            .find(|letter| !is_of_name(letter))
            .unwrap_or(rest.len());
        Some(rest[..end].to_owned()).filter(|name| !name.is_empty())
    });
    let mut names: Vec<String> = words.collect();
    names.dedup();
    names.iter().map(|name| named(name, "instance")).collect()
}

/// Asks the compiler's process. What is borrowed, as far as it can be, has its types.
fn look(
    place: &CellPosition<'_>,
    at: usize,
    explain: bool,
    user: User<'_, '_>,
) -> Result<Found, Error> {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    let mut cell = Compile {
        lines_above: 1,
        source: place.body.to_owned(),
        kept: kept::known(&[]),
        ..Compile::default()
    };
    if let Ok(line) = cli::parse::<RustArgs>(HEAD, Line::Text(place.line)) {
        for one in wanted(&line.own) {
            if let Ok(exports) = Exports::gather(&[one], line.own.slices, user) {
                cell.binds.extend(exports.binds.iter().cloned());
            }
        }
    }
    let question = Look {
        number: NUMBER.fetch_add(1, Ordering::Relaxed),
        cell,
        at,
        explain,
    };
    let found = client::look(user.py, question)?;
    Ok(found.unwrap_or(Found {
        start: at,
        end: at,
        ..Found::default()
    }))
}

/// The content of a reply.
fn completed(code: &str, range: &Range<usize>, found: &[Completion]) -> Value {
    let count = |to: usize| code.get(..to).unwrap_or(code).chars().count();
    let (start, end) = (count(range.start), count(range.end));
    let typed = found.iter().map(|one| {
        json!({
            "start": start, "end": end, "text": one.text, "type": one.kind, "signature": one.signature,
        })
    });
    let matches: Vec<_> = found.iter().map(|one| one.text.as_str()).collect();
    json!({
        "status": "ok", "matches": matches, "cursor_start": start, "cursor_end": end,
        "metadata": {"_jupyter_types_experimental": typed.collect::<Vec<_>>()},
    })
}
