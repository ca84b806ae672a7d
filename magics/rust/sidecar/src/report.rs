//! Errors of the compiler, in the words and the look of rustc, with the lines of the cells that they are about.

use std::collections::HashMap;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use diaphane_rust_protocol::Compile;
use evcxr::CompilationError;

use crate::code::Code;

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
    errors: &[CompilationError],
    code: &Code,
    cell: &Compile,
    sources: &Sources,
) -> (String, String) {
    let real: Vec<_> = errors
        .iter()
        .filter(|error| error.level() == "error")
        .collect();
    let shown = if real.is_empty() {
        errors.iter().collect()
    } else {
        real
    };
    let mut texts = Vec::new();
    let mut summary = String::new();
    for error in shown {
        let marks = marks(error, code, sources);
        if summary.is_empty() {
            summary = summarize(error, &marks);
        }
        texts.push(render(error, &marks, cell, sources));
    }
    texts.dedup();
    (texts.join("\n\n"), summary)
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

fn summarize(error: &CompilationError, marks: &[Mark]) -> String {
    let code = error
        .code()
        .map(|code| format!("{code}: "))
        .unwrap_or_default();
    let at = marks.iter().find(|mark| mark.primary).or(marks.first());
    let place = at.map(|mark| format!(" (In[{}]:{})", mark.cell, mark.line));
    format!("{code}{}{}", error.message(), place.unwrap_or_default())
}

fn render(error: &CompilationError, marks: &[Mark], cell: &Compile, sources: &Sources) -> String {
    let mut title = Level::ERROR.primary_title(error.message());
    if let Some(code) = error.code() {
        title = title.id(code.to_owned());
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
    for help in error.help().into_iter().take(3) {
        group = group.element(Level::HELP.message(help));
    }
    if let Some(advice) = advice(error, cell) {
        group = group.element(Level::HELP.message(advice));
    }
    Renderer::styled().render(&[group])
}

/// What rustc cannot know: the name may be one of Python's.
fn advice(error: &CompilationError, cell: &Compile) -> Option<String> {
    if error.code() != Some("E0425") {
        return None;
    }
    let message = error.message();
    let name = message.split('`').nth(1)?;
    cell.names
        .iter()
        .any(|known| known == name)
        .then(|| format!("`{name}` is a variable of Python: lend it to the cell with -i {name}"))
}

fn marks(error: &CompilationError, code: &Code, sources: &Sources) -> Vec<Mark> {
    let fallback = format!("error: {}", error.message());
    let spans = error.spanned_messages().iter();
    let marks = spans.filter_map(|message| {
        let span = message.span?;
        let (cell, line) = code.origin(span.start_line as u32)?;
        let (end_cell, end_line) = code.origin(span.end_line as u32)?;
        let source = sources.get(&cell)?;
        let start = offset(source, line, span.start_column)?;
        let end = if end_cell == cell {
            offset(source, end_line, span.end_column)?
        } else {
            start
        };
        let label = Some(message.label.as_str()).filter(|label| *label != fallback);
        Some(Mark {
            cell,
            line,
            range: start..end.max(start),
            label: label.unwrap_or_default().to_owned(),
            primary: message.is_primary,
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
