//! The lines of a stack that say where a crash came from: what was called last, and the user's own lines.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::Ordering;

use diaphane_sight::crash::black_box::{BlackBox, CellSlot};
use diaphane_sight::proc::maps::Maps;

use crate::libraries::names::{file_name, short};
use crate::stacks::merged::{FrameKind, StackFrame};

/// So many of the innermost native functions are shown, also the interpreter's own.
const INNERMOST: usize = 3;
/// No more lines are shown.
const MOST: usize = 24;
/// A function that stands so often on a stack calls itself.
const OFTEN: usize = 20;
/// How wide the columns are.
const FUNCTION: usize = 28;
const LIBRARY: usize = 22;

/// The folder of the files of cells, up to the number of the process.
const CELLS: &str = "ipykernel_";
/// What IPython's terminal calls the code of a cell, up to its number.
const IN_TERMINAL: &str = "<ipython-input-";

/// The file of a cell's code, by the number that it is named by.
fn cell_file(call: &StackFrame) -> Option<u32> {
    let path = Path::new(call.file.as_deref()?);
    let folder = path.parent()?.file_name()?.to_str()?;
    folder.starts_with(CELLS).then_some(())?;
    path.file_stem()?.to_str()?.parse().ok()
}

/// The number of the cell of a function, where its file names it.
fn number_in_terminal(call: &StackFrame) -> Option<u32> {
    let rest = call.file.as_deref()?.strip_prefix(IN_TERMINAL)?;
    rest.split('-').next()?.parse().ok()
}

/// The slot of the cell that runs with this function's code.
fn running<'a>(black_box: &'a BlackBox, call: &StackFrame) -> Option<&'a CellSlot> {
    let mut cells = black_box.running().map(|(_, cell)| cell);
    match number_in_terminal(call) {
        Some(number) => cells.find(|cell| cell.number.load(Ordering::Relaxed) == number),
        None => {
            let file = cell_file(call)?;
            cells.find(|cell| cell.file.load(Ordering::Relaxed) == file)
        }
    }
}

/// The number of the cell that a function belongs to.
pub(super) fn cell_number(black_box: &BlackBox, call: &StackFrame) -> Option<u32> {
    match running(black_box, call) {
        Some(cell) => Some(cell.number.load(Ordering::Relaxed)),
        None => number_in_terminal(call).or_else(|| black_box.cell_of_file(cell_file(call)?)),
    }
}

/// The text of a line of a cell that runs.
fn cell_text(black_box: &BlackBox, call: &StackFrame) -> Option<String> {
    let code = running(black_box, call)?.code.get();
    let line = usize::try_from(call.line?.checked_sub(1)?).ok()?;
    code.lines().nth(line).map(|text| text.trim().to_owned())
}

/// The stack in a few lines, the innermost call first.
pub(super) fn lines(black_box: &BlackBox, calls: &[StackFrame]) -> Vec<String> {
    let cells: Vec<Option<u32>> = calls
        .iter()
        .map(|call| cell_number(black_box, call))
        .collect();
    // What called the outermost cell is IPython and the kernel.
    let end = cells
        .iter()
        .rposition(Option::is_some)
        .map_or(calls.len(), |last| last + 1);
    let first_python = calls.iter().position(|call| call.kind == FrameKind::Python);
    let is_shown = |at: usize, call: &StackFrame| {
        let is_inner = at < INNERMOST && first_python.is_none_or(|first| at < first);
        is_inner || !call.plumbing
    };
    let mut lines: Vec<String> = Vec::new();
    let mut before: Option<(&StackFrame, usize)> = None;
    for (at, call) in calls[..end]
        .iter()
        .enumerate()
        .filter(|(at, call)| is_shown(*at, call))
    {
        if let Some((same, count)) = before.as_mut().filter(|(same, _)| is_same(same, call)) {
            *count += 1;
            let name = same.function.as_deref().unwrap_or("?");
            let more = format!("  (and {count} more of {name})");
            match count {
                1 => lines.push(more),
                _ => *lines.last_mut().unwrap_or(&mut String::new()) = more,
            }
            continue;
        }
        before = Some((call, 0));
        lines.push(line(black_box, call, cells[at]));
    }
    let left = lines.len().saturating_sub(MOST);
    if left > 1 {
        // The user's own lines are the outermost.
        lines.splice(MOST / 2..MOST / 2 + left, [format!("  (and {left} more)")]);
    }
    lines
}

fn is_same(one: &StackFrame, other: &StackFrame) -> bool {
    let of = |call: &StackFrame| {
        (
            call.function.clone(),
            call.library.clone(),
            call.file.clone(),
            call.line,
        )
    };
    one.function.is_some() && of(one) == of(other)
}

fn line(black_box: &BlackBox, call: &StackFrame, cell: Option<u32>) -> String {
    let nameless = call
        .offset
        .map_or("?".to_owned(), |offset| format!("?+{offset:#x}"));
    let function = call.function.as_deref().unwrap_or(&nameless);
    if let Some(cell) = cell {
        let place = format!("In[{cell}]:{}", number(call.line));
        let text = cell_text(black_box, call);
        let (mark, what) = match &text {
            Some(text) => ('>', text.as_str()),
            None => (' ', function),
        };
        return format!(
            "{mark} {what:<width$} {place}",
            width = FUNCTION + LIBRARY + 1
        );
    }
    let place = match (&call.file, call.line) {
        (Some(file), line) => format!("{}:{}", last_two(file), number(line)),
        (None, _) => String::new(),
    };
    let library = match call.kind {
        FrameKind::Native => call
            .library
            .as_deref()
            .map_or("outside of all libraries", short),
        FrameKind::Python => call.file.as_deref().map_or("", package),
    };
    format!("  {function:<FUNCTION$} {library:<LIBRARY$} {place}")
        .trim_end()
        .to_owned()
}

fn number(line: Option<u32>) -> String {
    line.map_or("?".to_owned(), |line| line.to_string())
}

/// The package or module that a file of Python's belongs to.
fn package(file: &str) -> &str {
    let inside = ["/site-packages/", "/dist-packages/"]
        .iter()
        .find_map(|mark| file.split_once(mark));
    let inside = inside.map(|(_, rest)| rest).or_else(|| {
        let (_, rest) = file.rsplit_once("/lib/python3.")?;
        rest.split_once('/').map(|(_, rest)| rest)
    });
    let first = inside
        .unwrap_or(file_name(file))
        .split('/')
        .next()
        .unwrap_or_default();
    first.strip_suffix(".py").unwrap_or(first)
}

/// The file with the folder that it is in.
fn last_two(file: &str) -> &str {
    let mut slashes = file.rmatch_indices('/');
    slashes.nth(1).map_or(file, |(at, _)| &file[at + 1..])
}

/// Which library did it, and who called that.
pub(super) fn who(calls: &[StackFrame]) -> Option<String> {
    let name = |call: &StackFrame| match call.kind {
        FrameKind::Native => Some(short(call.library.as_deref()?).to_owned()),
        FrameKind::Python => Some(package(call.file.as_deref()?).to_owned()),
    };
    let mut names = calls
        .iter()
        .filter(|call| !call.plumbing || call.kind == FrameKind::Native);
    let first = names
        .next()
        .filter(|call| call.kind == FrameKind::Native)
        .and_then(name)?;
    let is_cell = |call: &&StackFrame| {
        call.file
            .as_deref()
            .is_some_and(|file| file.contains(CELLS))
    };
    let others = calls.iter().filter(|call| !call.plumbing && !is_cell(call));
    let caller = others.filter_map(name).find(|other| *other != first);
    Some(match caller {
        Some(caller) => format!("The library that did this: {first}, called by {caller}."),
        None => format!("The library that did this: {first}."),
    })
}

/// What the other threads did, by what they are.
pub(super) fn others<'a>(
    threads: impl Iterator<Item = (&'a str, char, &'a [StackFrame])>,
) -> Option<String> {
    let mut counted: Vec<(String, usize)> = Vec::new();
    for (thread, state, calls) in threads {
        let python = calls.iter().any(|call| call.kind == FrameKind::Python);
        let library = calls
            .iter()
            .find(|call| !call.plumbing)
            .and_then(|call| call.library.as_deref());
        let whose = match library {
            _ if python => "Python",
            Some(library) => short(library),
            None => thread,
        };
        let does = if state == 'R' { "running" } else { "asleep" };
        let what = format!("of {whose} {does}");
        match counted.iter_mut().find(|(known, _)| *known == what) {
            Some((_, count)) => *count += 1,
            None => counted.push((what, 1)),
        }
    }
    let said: Vec<String> = counted
        .iter()
        .map(|(what, count)| format!("{count} {what}"))
        .collect();
    (!said.is_empty()).then(|| format!("Other threads: {}.", said.join(", ")))
}

/// Which function a stack is full of, and how deep: counted where Python says so, and else computed from the part of the
/// stack that was followed.
pub(super) fn recursion(calls: &[StackFrame], ends: &[usize], maps: &Maps) -> Option<String> {
    let most = |kind: FrameKind| {
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for call in calls.iter().filter(|call| call.kind == kind) {
            *counts.entry(call.function.as_deref()?).or_default() += 1;
        }
        counts
            .into_iter()
            .max_by_key(|(_, count)| *count)
            .filter(|(_, count)| *count >= OFTEN)
    };
    if let Some((name, count)) = most(FrameKind::Python) {
        return Some(format!("`{name}` calls itself, {count} calls deep."));
    }
    let (name, count) = most(FrameKind::Native)?;
    let (first, last) = (*ends.first()?, *ends.last()?);
    let stack = maps.find(last)?.span;
    let deep = stack
        .len()
        .checked_mul(count)?
        .checked_div(last.checked_sub(first)?)?;
    Some(format!("`{name}` calls itself, about {deep} calls deep."))
}
