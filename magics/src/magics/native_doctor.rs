//! `%native_doctor`: every diagnosis of every other magic at once, the worst first, each with its evidence and its fix.
//!
//! It knows no diagnosis of its own: it asks the magics that make them, as their lines below say.

mod columns;

use diaphane_trace::inline_hooks;
use serde_json::json;

use crate::error::Error;
use crate::magic::{Context, Magic};
use diaphane_report::{Diagnosis, Report, Row, Schema, Severity, fields};

/// Run every check and list what is remarkable, the worst first.
///
/// The magics that can find something are asked with the lines that let them look deepest without slowing the process
/// down. Each finding has a page in docs/diagnoses, under its code.
#[derive(Debug, clap::Args)]
pub(crate) struct NativeDoctorArgs {}

/// The magics that make diagnoses, and how they are asked.
const CHECKS: &[(&str, &str)] = &[
    ("loaded_libs", ""),
    ("threads", ""),
    ("buffer_addr", "--all --pages"),
    ("addr_map", "--group kind"),
    ("rust_status", "--here"),
];

/// The magic.
pub(crate) struct NativeDoctor;

impl Magic for NativeDoctor {
    const NAME: &'static str = "native_doctor";
    const SCHEMA: &'static Schema = &columns::SCHEMA;
    type Args = NativeDoctorArgs;

    fn run(_args: &NativeDoctorArgs, context: &Context<'_, '_>) -> Result<Report, Error> {
        let mut found: Vec<(&str, Diagnosis)> = Vec::new();
        let mut limits = Vec::new();
        for &(name, line) in CHECKS {
            match (context.ask)(name, line, context) {
                Ok(report) => {
                    found.extend(report.diagnoses.into_iter().map(|one| (name, one)));
                    limits.extend(report.limits);
                }
                // One that cannot answer does not keep the others from it.
                Err(error) => limits.push(format!("%{name} could not answer: {error}")),
            }
        }
        found.sort_by_key(|(_, one)| (std::cmp::Reverse(one.severity), one.code));
        limits.extend(inline_hooks::remaining());
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
            facts: fields(
                json!({"checks": CHECKS.iter().map(|(name, _)| name).collect::<Vec<_>>()}),
            )?,
            summary: vec![summary(counts)],
            rows: found.iter().map(row).collect::<Result<_, _>>()?,
            diagnoses: found.into_iter().map(|(_, one)| one).collect(),
            limits,
            ..Report::default()
        })
    }
}

/// The diagnosis as it is, and who made it.
fn row((name, one): &(&str, Diagnosis)) -> Result<Row, Error> {
    Ok(Row::of(one)?.with("found_by", format!("%{name}")))
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
