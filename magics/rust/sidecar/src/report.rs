//! Errors of the compiler, in the words and the look of rustc, with the lines of the cells that they are about.

use std::collections::HashMap;
use std::ops::Range;

use crate::code::Code;
use crate::diagnosis::Diagnosis;
use crate::items::{self, Let};
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use diaphane_rust_protocol::Compile;

/// The source of a cell, and how many lines stand above it.
#[derive(Debug, Clone)]
pub struct Source {
    pub text: String,
    pub lines_above: u32,
}

/// The sources of all cells whose items are still used, by number.
pub type Sources = HashMap<u32, Source>;

/// A mark in a cell.
struct Mark {
    cell: u32,
    line: u32,
    range: Range<usize>,
    label: String,
    primary: bool,
}

/// The report of all errors, and the first in one line.
pub fn report(
    all: &[Diagnosis],
    code: &Code,
    cell: &Compile,
    sources: &Sources,
) -> (String, String) {
    let mut shown: Vec<_> = all.iter().filter(|one| one.is_error).collect();
    if shown.is_empty() {
        shown = all.iter().collect();
    }
    let mut texts = Vec::new();
    let mut summary = String::new();
    for error in shown {
        if let Some((text, words)) = about_value(error, code, cell, sources) {
            summary = if summary.is_empty() { words } else { summary };
            texts.push(text);
            continue;
        }
        let marks = marks(error, code, sources);
        if summary.is_empty() {
            summary = summarize(error, &marks);
        }
        texts.push(render(error, &marks, cell, sources));
    }
    texts.dedup();
    (texts.join("\n\n"), summary)
}

/// The report of a last value that cannot be displayed. Rustc would speak of the method that we call on it.
fn about_value(
    error: &Diagnosis,
    code: &Code,
    cell: &Compile,
    sources: &Sources,
) -> Option<(String, String)> {
    let tail = code.tail.clone()?;
    let mut places = error.spans.iter().filter(|span| span.primary);
    let is_ours = places.all(|span| code.origin(span.line).is_none());
    if error.code.as_deref() != Some("E0599") || !is_ours {
        return None;
    }
    let source = sources.get(&cell.cell)?;
    let line = source.text[..tail.start].matches('\n').count() as u32;
    let mark = Mark {
        cell: cell.cell,
        line: source.lines_above + 1 + line,
        range: tail,
        label: String::new(),
        primary: true,
    };
    let known = Diagnosis {
        is_error: true,
        message: "the last value cannot be displayed: its type has no `Debug`".to_owned(),
        code: error.code.clone(),
        spans: Vec::new(),
        help: vec![
            "derive `Debug` for it, or end the line with a semicolon to display nothing".to_owned(),
        ],
    };
    let marks = [mark];
    let summary = summarize(&known, &marks);
    Some((render(&known, &marks, cell, sources), summary))
}

/// What rustc warns of in the lines of this cell. Nothing about our own lines, nor about items of earlier cells again.
pub fn warnings(all: &[Diagnosis], code: &Code, cell: &Compile, sources: &Sources) -> String {
    let lets = items::divide(&cell.source, cell.cell, cell.lines_above).lets;
    let texts = all.iter().filter_map(|warning| {
        let mut places = warning.spans.iter().filter(|span| span.primary);
        let is_users = places.all(|span| {
            code.origin(span.line)
                .is_some_and(|(number, _)| number == cell.cell)
        });
        is_users.then(|| {
            let marks = marks(warning, code, sources);
            match for_notebook(warning, &lets) {
                Some(known) => render(&known, &marks, cell, sources),
                None => render(warning, &marks, cell, sources),
            }
        })
    });
    let mut texts: Vec<_> = texts.collect();
    texts.dedup();
    texts.join("\n\n")
}

/// What a warning means in a notebook, where it is something else: a variable that the cell makes and does not use was
/// perhaps made for later cells.
fn for_notebook(warning: &Diagnosis, lets: &[Let]) -> Option<Diagnosis> {
    let name = warning.message.strip_prefix("unused variable: `")?;
    let name = name.strip_suffix('`')?;
    lets.iter().find(|one| one.name == name)?;
    Some(Diagnosis {
        is_error: false,
        message: warning.message.clone(),
        code: warning.code.clone(),
        spans: Vec::new(),
        help: vec![format!(
            "a variable ends with its cell: `%%rust -o {name}` gives it to Python, and `--keep {name}` keeps it for later \
             Rust cells"
        )],
    })
}

/// A report about a line of the cell that was never compiled.
pub fn about_line(message: &str, line: u32, cell: &Compile) -> (String, String) {
    let title = Level::ERROR.primary_title(message);
    let text = cell.source.lines().nth(line as usize).unwrap_or_default();
    let snippet = Snippet::source(text)
        .path(format!("Cell In[{}]", cell.cell))
        .line_start((cell.lines_above + line + 1) as usize)
        .annotation(AnnotationKind::Primary.span(0..text.len()));
    let report = Renderer::styled().render(&[title.element(snippet)]);
    let place = format!("In[{}]:{}", cell.cell, cell.lines_above + line + 1);
    (report, format!("{message} ({place})"))
}

fn summarize(error: &Diagnosis, marks: &[Mark]) -> String {
    let code = error.code.as_deref().map(|code| format!("{code}: "));
    let at = marks.iter().find(|mark| mark.primary).or(marks.first());
    let place = at.map(|mark| format!(" (In[{}]:{})", mark.cell, mark.line));
    let (code, place) = (code.unwrap_or_default(), place.unwrap_or_default());
    format!("{code}{}{place}", error.message)
}

fn render(error: &Diagnosis, marks: &[Mark], cell: &Compile, sources: &Sources) -> String {
    let level = if error.is_error {
        Level::ERROR
    } else {
        Level::WARNING
    };
    let mut title = level.primary_title(error.message.as_str());
    // The names of lints are no codes that could be looked up.
    if let Some(code) = error.code.as_ref().filter(|_| error.is_error) {
        title = title.id(code.clone());
    }
    let mut group = Group::with_title(title);
    let mut cells: Vec<u32> = marks.iter().map(|mark| mark.cell).collect();
    cells.sort_by_key(|number| *number != cell.cell);
    cells.dedup();
    for number in cells {
        let Some(source) = sources.get(&number) else {
            continue;
        };
        let own = marks.iter().filter(|mark| mark.cell == number);
        let annotations = own.map(|mark| {
            let kind = if mark.primary {
                AnnotationKind::Primary
            } else {
                AnnotationKind::Context
            };
            let label = Some(mark.label.as_str()).filter(|label| !label.is_empty());
            kind.span(mark.range.clone()).label(label)
        });
        let snippet = Snippet::source(source.text.as_str())
            .path(format!("Cell In[{number}]"))
            .line_start(source.lines_above as usize + 1)
            .annotations(annotations);
        group = group.element(snippet);
    }
    // Where rustc lists all that could be meant, a few are enough.
    for help in error.help.iter().take(3) {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    if let Some(advice) = advice(error, cell) {
        group = group.element(Level::HELP.message(advice));
    }
    Renderer::styled().render(&[group])
}

/// What rustc cannot know: that a name may be one of Python's.
fn advice(error: &Diagnosis, cell: &Compile) -> Option<String> {
    let code = error.code.as_deref()?;
    if code != "E0425" {
        return None;
    }
    let name = error.message.split('`').nth(1)?;
    cell.names
        .iter()
        .any(|known| known == name)
        .then(|| format!("`{name}` is a variable of Python: borrow it with -i {name}"))
}

fn marks(error: &Diagnosis, code: &Code, sources: &Sources) -> Vec<Mark> {
    let marks = error.spans.iter().filter_map(|span| {
        let (cell, line) = code.origin(span.line)?;
        let (end_cell, end_line) = code.origin(span.end_line)?;
        let source = sources.get(&cell)?;
        let start = offset(source, line, span.column)?;
        let end = if end_cell == cell {
            offset(source, end_line, span.end_column)?
        } else {
            start
        };
        Some(Mark {
            cell,
            line,
            range: start..end.max(start),
            label: span.label.clone(),
            primary: span.primary,
        })
    });
    marks.collect()
}

/// The byte at a line and a column, which counts characters from 1.
fn offset(source: &Source, line: u32, column: usize) -> Option<usize> {
    let line = line.checked_sub(source.lines_above + 1)?;
    let mut start = 0;
    for (number, text) in source.text.split_inclusive('\n').enumerate() {
        if number == line as usize {
            let inside = text.char_indices().nth(column.saturating_sub(1));
            return Some(start + inside.map_or(text.len(), |(at, _)| at));
        }
        start += text.len();
    }
    // Behind a last line that ends the text.
    Some(source.text.len())
}
