//! `%native_doctor`: every diagnosis of every other magic at once, the worst first, each with its evidence and its fix.
//!
//! It knows no diagnosis of its own: it asks the magics that make them, as their lines below say.

use serde::Serialize;
use serde_json::json;

use crate::report::{Column, Diagnosis, Report, Severity, Show, fields, rows};
use crate::view::text::wrap;
use crate::{Context, Error, Magic, answer};

/// Run every check and list what is remarkable, the worst first.
///
/// The magics that can find something are asked with the lines that let them look deepest without slowing the process
/// down. Each finding has a page in docs/diagnoses, under its code.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// The magics that make diagnoses, and how they are asked.
const CHECKS: &[(&str, &str)] = &[("loaded_libs", ""), ("threads", ""), ("buffer_addr", "")];

const COLUMNS: &[Column] = &[
    Column::new("code", Show::Text, 0),
    Column::new("severity", Show::Text, 0),
    Column::new("title", Show::Text, 1)
        .titled("finding")
        .at_least(30),
    Column::new("found_by", Show::Text, 2).titled("found by"),
    Column::new("fix", Show::Text, 3).at_least(24),
];

#[derive(Serialize)]
struct Row {
    code: &'static str,
    severity: Severity,
    title: String,
    found_by: String,
    fix: String,
    evidence: Vec<String>,
}

/// The magic.
pub(crate) struct NativeDoctor;

impl Magic for NativeDoctor {
    const NAME: &'static str = "native_doctor";
    type Args = Args;

    fn run(_args: &Args, context: &Context<'_, '_>) -> Result<Report, Error> {
        let mut found: Vec<(&str, Diagnosis)> = Vec::new();
        let mut limits = Vec::new();
        for &(name, line) in CHECKS {
            match answer(name, line, context) {
                Ok(asked) => {
                    found.extend(asked.report.diagnoses.into_iter().map(|one| (name, one)));
                    limits.extend(asked.report.limits);
                }
                // One that cannot answer does not keep the others from it.
                Err(error) => limits.push(format!("%{name} could not answer: {error}")),
            }
        }
        found.sort_by_key(|(_, one)| (std::cmp::Reverse(one.severity), one.code));
        limits.dedup();
        let count = |severity| {
            found
                .iter()
                .filter(|(_, one)| one.severity == severity)
                .count()
        };
        let counts = [Severity::Error, Severity::Warn, Severity::Info]
            .map(|severity| (severity, count(severity)));
        Ok(Report {
            name: Self::NAME,
            columns: COLUMNS,
            facts: fields(
                json!({"checks": CHECKS.iter().map(|(name, _)| name).collect::<Vec<_>>()}),
            )?,
            summary: vec![summary(counts)],
            listing: found.iter().flat_map(|(_, one)| listing(one)).collect(),
            rows: rows(found.into_iter().map(|(name, one)| row(name, one)))?,
            limits,
            ..Report::default()
        })
    }
}

fn row(name: &str, one: Diagnosis) -> Row {
    Row {
        code: one.code,
        severity: one.severity,
        title: one.title,
        found_by: format!("%{name}"),
        fix: one.fix,
        evidence: one.evidence,
    }
}

/// A finding in full, below the table that had to shorten it.
fn listing(one: &Diagnosis) -> Vec<String> {
    let mut lines = vec![String::new()];
    let (code, word) = (one.code, one.severity.word());
    lines.extend(wrapped("", &format!("{code} {word}: {}", one.title)));
    for evidence in &one.evidence {
        lines.extend(wrapped("  ", &format!("- {evidence}")));
    }
    lines.extend(wrapped("  ", &format!("Fix: {}", one.fix)));
    lines
}

/// Lines of at most 80 columns, the first of which begins at the margin and the others a little to the right.
fn wrapped(margin: &str, text: &str) -> Vec<String> {
    const WIDTH: usize = 80;
    wrap(text, "  ", WIDTH - margin.len())
        .into_iter()
        .map(|line| format!("{margin}{line}"))
        .collect()
}

fn summary(counts: [(Severity, usize); 3]) -> String {
    let parts: Vec<String> = counts
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(severity, count)| format!("{count} {}", severity.word()))
        .collect();
    match parts.is_empty() {
        true => "nothing remarkable was found".into(),
        false => format!("found: {}", parts.join(", ")),
    }
}
