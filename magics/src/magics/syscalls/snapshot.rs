//! Calls with everything that is known of them: who made them, and at which line of Python.

use std::collections::HashMap;
use std::sync::Arc;

use diaphane_sight::linker::libraries::Library;
use diaphane_trace::syscalls::{Call, SyscallRecording};
use pyo3::prelude::*;

use super::callers::{Maker, Makers};
use super::choice::CallFilter;
use super::decode::name_of;
use crate::magic::{RecordedCode, User};
use crate::python::ipython::source_line;
use diaphane_cpython::here;
use diaphane_cpython::here::Here;

/// One call.
pub(super) struct SeenCall<'a> {
    pub index: usize,
    pub call: &'a Call,
    pub maker: Arc<Maker>,
    /// The line of the cell, or else that of the innermost Python function.
    pub place: Option<String>,
    /// The innermost Python function.
    pub python: Option<String>,
}

/// The path that a call names.
pub(super) fn path_of(call: &Call) -> Option<String> {
    let kinds = super::signatures::arguments(&name_of(call))?;
    let index = kinds.iter().position(|kind| *kind == "path")?;
    // An empty one means what the descriptor in front of it stands for.
    let text = call.text(index).filter(|text| !text.is_empty())?;
    Some(String::from_utf8_lossy(text).into_owned())
}

/// The calls that are wanted.
pub(super) fn seen<'a>(
    recording: &'a SyscallRecording,
    choice: &CallFilter,
    libraries: &[Library],
    code: &RecordedCode,
    user: User<'_, '_>,
) -> PyResult<Vec<SeenCall<'a>>> {
    let mut makers = Makers::new(libraries);
    let places = places(recording, code, user)?;
    let calls = recording.calls.iter().enumerate();
    let wanted = calls.filter(|(_, call)| choice.takes(&name_of(call)));
    let one = |(index, call): (usize, &'a Call)| {
        let (place, python) = call
            .place
            .and_then(|place| places.get(place).cloned())
            .unwrap_or_default();
        SeenCall {
            index,
            call,
            maker: makers.of(call),
            place,
            python,
        }
    };
    Ok(wanted.map(one).collect())
}

type NamedPlace = (Option<String>, Option<String>);

/// The places of a recording, as people write them.
fn places(
    recording: &SyscallRecording,
    code: &RecordedCode,
    user: User<'_, '_>,
) -> PyResult<Vec<NamedPlace>> {
    let mut files: HashMap<(String, Option<u32>), Option<String>> = HashMap::new();
    let mut name = |here: &Here| -> PyResult<Option<String>> {
        if let Some(line) = here.cell_line {
            return Ok(Some(code.place(line)));
        }
        let key = (here.inner.file.clone(), here.inner.line);
        if let Some(known) = files.get(&key) {
            return Ok(known.clone());
        }
        let named = match here.inner.line {
            Some(line) => Some(source_line(user.py, &here.inner.file, line)?.0),
            None => None,
        };
        files.insert(key, named.clone());
        Ok(named)
    };
    let all = recording.places.iter().map(|bytes| here::read(bytes));
    all.map(|here| match here {
        Some(here) => Ok((name(&here)?, Some(inner(&here)))),
        None => Ok((None, None)),
    })
    .collect()
}

fn inner(here: &Here) -> String {
    let file = here.inner.file.rsplit('/').next().unwrap_or_default();
    match here.inner.line {
        Some(line) => format!("{} ({file}:{line})", here.inner.function),
        None => format!("{} ({file})", here.inner.function),
    }
}
