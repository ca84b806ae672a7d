//! What rustc has to say about a source: errors as evcxr hands them on, and warnings, which it drops.
//!
//! Cargo keeps the messages of a unit beside its fingerprint, to say them again when nothing is to be built. So the
//! warnings of a build that succeeded are read there, and no second build is needed.

use std::fs;
use std::path::{Path, PathBuf};

use evcxr::CompilationError;
use serde::Deserialize;

/// An error or a warning.
#[derive(Debug, Default)]
pub struct Diagnosis {
    pub is_error: bool,
    pub message: String,
    pub code: Option<String>,
    pub spans: Vec<Span>,
    pub help: Vec<String>,
}

/// A place that it is about. Lines are those of the generated source; columns count characters. Both begin at 1.
#[derive(Debug)]
pub struct Span {
    pub line: u32,
    pub column: usize,
    pub end_line: u32,
    pub end_column: usize,
    pub label: String,
    pub primary: bool,
}

impl From<&CompilationError> for Diagnosis {
    fn from(error: &CompilationError) -> Self {
        // Where rustc says nothing about a place, evcxr repeats the whole message.
        let repeated = format!("error: {}", error.message());
        let spans = error.spanned_messages().iter().filter_map(|message| {
            let span = message.span?;
            let label = Some(message.label.as_str()).filter(|label| *label != repeated);
            Some(Span {
                line: span.start_line as u32,
                column: span.start_column,
                end_line: span.end_line as u32,
                end_column: span.end_column,
                label: label.unwrap_or_default().to_owned(),
                primary: message.is_primary,
            })
        });
        Self {
            is_error: error.level() == "error",
            message: error.message(),
            code: error.code().map(str::to_owned),
            spans: spans.collect(),
            help: error.help(),
        }
    }
}

/// A message as cargo keeps it: rustc's own JSON.
#[derive(Deserialize)]
struct Kept {
    message: String,
    level: String,
    code: Option<KeptCode>,
    spans: Vec<KeptSpan>,
    children: Vec<Self>,
}

#[derive(Deserialize)]
struct KeptCode {
    code: String,
}

#[derive(Deserialize)]
struct KeptSpan {
    file_name: String,
    line_start: u32,
    line_end: u32,
    column_start: usize,
    column_end: usize,
    is_primary: bool,
    label: Option<String>,
    suggested_replacement: Option<String>,
}

/// Where cargo keeps the messages about cells, in a target folder for one platform.
fn files(target: &Path) -> impl Iterator<Item = PathBuf> {
    let units = fs::read_dir(target.join("debug/.fingerprint"));
    let units = units.into_iter().flatten().flatten();
    units
        .filter(|unit| unit.file_name().to_string_lossy().starts_with("ctx-"))
        .map(|unit| unit.path().join("output-lib-ctx"))
}

/// Forgets the messages of earlier builds, which may have had other options and so another file.
pub fn forget_warnings(target: &Path) {
    for file in files(target) {
        // Most builds leave none.
        let _ = fs::remove_file(file);
    }
}

/// The warnings of the last build. `above` lines stand in the crate above the source that was given to evcxr.
pub fn warnings(target: &Path, above: u32) -> Vec<Diagnosis> {
    let texts = files(target).filter_map(|file| fs::read_to_string(file).ok());
    let kept = texts.flat_map(|text| {
        let lines = text.lines().map(serde_json::from_str::<Kept>);
        lines.filter_map(Result::ok).collect::<Vec<_>>()
    });
    kept.filter(|kept| kept.level == "warning" && !kept.spans.is_empty())
        .map(|kept| warning(kept, above))
        .collect()
}

fn warning(kept: Kept, above: u32) -> Diagnosis {
    let spans = kept.spans.into_iter().map(|span| {
        // A place in another file is in a macro of a dependency; no cell has such a line.
        let line = |line: u32| {
            let is_own = span.file_name.ends_with("lib.rs");
            line.checked_sub(above).filter(|_| is_own).unwrap_or(0)
        };
        Span {
            line: line(span.line_start),
            column: span.column_start,
            end_line: line(span.line_end),
            end_column: span.column_end,
            label: span.label.unwrap_or_default(),
            primary: span.is_primary,
        }
    });
    let helps = kept.children.iter().filter(|child| child.level == "help");
    Diagnosis {
        is_error: false,
        message: kept.message,
        code: kept.code.map(|code| code.code),
        spans: spans.collect(),
        help: helps.map(help).collect(),
    }
}

/// A piece of advice, with the text that it proposes.
fn help(child: &Kept) -> String {
    let replacement = child
        .spans
        .first()
        .and_then(|span| span.suggested_replacement.as_deref());
    match replacement.map(str::trim).filter(|text| !text.is_empty()) {
        Some(text) => format!("{}: `{text}`", child.message),
        None => child.message.clone(),
    }
}
