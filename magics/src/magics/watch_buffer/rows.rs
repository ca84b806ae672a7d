//! Hits as rows and sentences.

use std::collections::HashMap;

use diaphane_sight::code::lines::Lines;
use diaphane_trace::watchpoints::{Access, Hit};
use pyo3::prelude::*;
use serde::Serialize;

use super::element::Element;
use super::hits::{Hits, SeenHit};
use crate::libraries::names::file_name;
use crate::magic::{RecordedCode, User};
use crate::python::threads::thread_names;
use crate::session::cell_files::cell_of_file;
use crate::stacks::merged::{FrameKind, MergedStack, StackFrame, merge};
use crate::stacks::told::{place, users};
use diaphane_sight::proc::tasks;

/// So many functions of a stack are listed.
const LISTED: usize = 20;

/// What is told, and how.
pub(super) struct WatchedCell<'a> {
    pub elements: &'a [Element],
    pub access: Access,
    pub each: bool,
    pub started_ns: u64,
    /// Whether the memory was freed, and whether there were more hits than are told.
    pub is_freed: bool,
    pub is_full: bool,
}

/// One or several writes that follow on each other at one place.
#[derive(Serialize)]
pub(super) struct WriteRow {
    number: u64,
    element: String,
    what: &'static str,
    place: Option<String>,
    source: Option<String>,
    through: Option<String>,
    old: String,
    new: String,
    count: u64,
    function: Option<String>,
    library: Option<String>,
    thread: String,
    tid: i32,
    at_ns: u64,
    old_bits: String,
    new_bits: String,
    is_late: bool,
    stack: Vec<StackFrame>,
    #[serde(skip)]
    lines: Vec<String>,
    #[serde(skip)]
    hit: Hit,
}

impl WatchedCell<'_> {
    /// The rows, in the order of time.
    pub fn rows(
        &self,
        hits: Hits,
        code: &RecordedCode,
        user: User<'_, '_>,
    ) -> PyResult<Vec<WriteRow>> {
        let mut names = hits.comms;
        // A thread that nobody named has the process's name, which says nothing of it.
        let of_process = tasks::name(std::process::id().cast_signed());
        names.retain(|_, name| Some(&*name) != of_process.as_ref());
        names.extend(thread_names(user.py)?);
        let file = code.file.bind(user.py).to_string();
        let mut lines = Lines::default();
        let mut rows: Vec<WriteRow> = Vec::new();
        for seen in hits.seen {
            let row = self.row(seen, &mut lines, (&file, code), &names, user.py);
            match rows.last_mut() {
                Some(before) if !self.each && before.is_alike(&row) => before.goes_on(row),
                _ => rows.push(row),
            }
        }
        Ok(rows)
    }

    fn row(
        &self,
        seen: SeenHit,
        lines: &mut Lines,
        (file, code): (&str, &RecordedCode),
        names: &HashMap<i32, String>,
        py: Python<'_>,
    ) -> WriteRow {
        let hit = seen.hit;
        let element = &self.elements[hit.spot];
        let mut merged = merge(&seen.libraries, lines, Ok(seen.stack), seen.python);
        merged.calls.truncate(users(&merged.calls).len());
        let of_cell = line_of(&merged, file);
        let named = merged.calls.iter().find_map(place);
        let top = merged.top_frame();
        let is_read = self.access == Access::ReadOrWrite && hit.old == hit.new;
        WriteRow {
            number: hit.number,
            element: element.name.clone(),
            what: if is_read { "touch" } else { "write" },
            place: of_cell.map(|line| code.place(line)).or(named),
            source: of_cell.and_then(|line| source(code, line)),
            through: through(&merged, file),
            old: element.text(hit.old, py),
            new: element.text(hit.new, py),
            count: 1,
            function: top.and_then(|call| call.function.clone()),
            library: top.and_then(|call| call.library.clone()),
            thread: names
                .get(&hit.tid)
                .cloned()
                .unwrap_or_else(|| format!("TID {}", hit.tid)),
            tid: hit.tid,
            at_ns: hit.at_ns.saturating_sub(self.started_ns),
            old_bits: format!("{:#x}", hit.old),
            new_bits: format!("{:#x}", hit.new),
            is_late: hit.is_late,
            lines: with_places(&merged, file, code).listing(LISTED, false),
            stack: merged.calls,
            hit,
        }
    }

    /// A sentence for each element.
    pub fn sentences(&self, rows: &[WriteRow], user: User<'_, '_>) -> Vec<String> {
        let numbered = self.elements.iter().enumerate();
        numbered
            .map(|(spot, element)| {
                let own: Vec<&WriteRow> = rows.iter().filter(|row| row.hit.spot == spot).collect();
                let said = self.sentence(element, &own, user.py);
                match element.elsewhere(user) {
                    Some(value) => format!(
                        "{said}. By now {} is other memory, with {value} in it: the cell has bound the name to something else",
                        element.name
                    ),
                    None => said,
                }
            })
            .collect()
    }

    fn sentence(&self, element: &Element, own: &[&WriteRow], py: Python<'_>) -> String {
        let (wrote, was) = match self.access {
            Access::Write => ("wrote to", "written"),
            Access::ReadOrWrite => ("touched", "touched"),
        };
        let name = &element.name;
        let (Some(first), Some(last)) = (own.first(), own.last()) else {
            return match self.is_freed {
                true => format!("No code {wrote} {name} before its memory was freed"),
                false => format!(
                    "No code {wrote} {name}, which is {}",
                    element.text(element.now(), py)
                ),
            };
        };
        let count: u64 = own.iter().map(|row| row.count).sum();
        let count = match (self.is_full, count) {
            (true, many) => format!("at least {}", times(many)),
            (false, many) => times(many),
        };
        let (from, to) = (&first.old, &last.new);
        match own.len() {
            1 => format!(
                "{name} was {was} {count}, by {}: from {from} to {to}",
                last.writer()
            ),
            places => format!(
                "{name} was {was} {count} at {places} places, from {from} to {to} in all; last by {}: from {} to {to}",
                last.writer(),
                last.old
            ),
        }
    }
}

impl WriteRow {
    fn is_alike(&self, other: &Self) -> bool {
        (self.hit.spot, self.tid, self.what, self.is_late)
            == (other.hit.spot, other.tid, other.what, other.is_late)
            && (&self.place, &self.through, &self.function, &self.library)
                == (
                    &other.place,
                    &other.through,
                    &other.function,
                    &other.library,
                )
    }

    fn goes_on(&mut self, next: Self) {
        self.count += next.count;
        self.new = next.new;
        self.new_bits = next.new_bits;
    }

    /// The function and the line.
    fn writer(&self) -> String {
        let function = self
            .function
            .as_deref()
            .unwrap_or("a function without a name");
        let at = self.place.as_deref().unwrap_or("a thread without Python");
        match &self.through {
            Some(through) => format!("{function} in {through} at {at}"),
            None => format!("{function} at {at}"),
        }
    }

    /// Its stack, by its number.
    pub fn listing(&self) -> (String, Vec<String>) {
        let title = format!("#{} {} {}", self.number, self.element, self.what);
        let lines = std::iter::once(title).chain(self.lines.iter().cloned());
        (self.number.to_string(), lines.collect())
    }
}

fn times(count: u64) -> String {
    match count {
        1 => "once".to_owned(),
        many => format!("{many} times"),
    }
}

/// The innermost function of Python, where it is none of the cell's.
fn through(merged: &MergedStack, file: &str) -> Option<String> {
    let is_python = |call: &&StackFrame| call.kind == FrameKind::Python;
    let call = merged.calls.iter().find(is_python)?;
    let path = call.file.as_deref().filter(|path| *path != file)?;
    let line = call.line.map_or("?".to_owned(), |line| line.to_string());
    let function = call.function.as_deref().unwrap_or("?");
    let home =
        cell_of_file(path).map_or_else(|| file_name(path).to_owned(), |cell| format!("In[{cell}]"));
    Some(format!("{function} ({home}:{line})"))
}

/// The innermost line of the cell.
fn line_of(merged: &MergedStack, file: &str) -> Option<u32> {
    let is_cells =
        |call: &&StackFrame| call.kind == FrameKind::Python && call.file.as_deref() == Some(file);
    merged.calls.iter().find(is_cells)?.line
}

/// The same with the cell as people call it.
fn with_places(merged: &MergedStack, file: &str, code: &RecordedCode) -> MergedStack {
    let mut named = merged.clone();
    let of_cell = |call: &&mut StackFrame| call.file.as_deref() == Some(file);
    for call in named.calls.iter_mut().filter(of_cell) {
        call.file.clone_from(&code.home);
    }
    named
}

fn source(code: &RecordedCode, line: u32) -> Option<String> {
    let line = usize::try_from(line).ok()?.checked_sub(1)?;
    Some(code.source.lines().nth(line)?.trim().to_owned())
}
