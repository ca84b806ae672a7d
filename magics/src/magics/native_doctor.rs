//! `%native_doctor`: every diagnosis of every other magic at once, the worst first, each with its evidence and its fix.
//!
//! It knows no diagnosis of its own: it asks the magics that make them, as their lines below say.

mod columns;
mod workers;

use diaphane_trace::inline_hooks;
use serde_json::json;

use crate::error::Error;
use crate::magic::{Context, Magic, Questions};
use crate::pages;
use crate::session::door;
use diaphane_report::{Diagnosis, Report, Row, Schema, Severity, fields};

/// Run every check and list what is remarkable, the worst first.
///
/// The magics that can find something are asked with the lines that let them look deepest without slowing the process
/// down. With the code of a finding, such as B001, it shows the page of that.
#[derive(Debug, clap::Args)]
pub(crate) struct NativeDoctorArgs {
    /// The code of a finding
    #[arg(value_name = "CODE")]
    code: Option<String>,
    /// Tell in full what calls for nothing, too
    #[arg(long)]
    all: bool,
    /// Ask the workers of a client of Dask's instead, and make one report of theirs
    #[arg(long, value_name = "CLIENT", conflicts_with = "code")]
    workers: Option<String>,
}

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
    const QUESTIONS: Questions = &[("Is anything wrong in this process?", "")];
    const SCHEMA: &'static Schema = &columns::SCHEMA;
    type Args = NativeDoctorArgs;

    fn run(args: &NativeDoctorArgs, context: &Context<'_, '_>) -> Result<Report, Error> {
        if let Some(code) = &args.code {
            return pages::report(Self::NAME, code);
        }
        if let Some(client) = &args.workers {
            return workers::doctor(client, context);
        }
        let mut found: Vec<(&str, Diagnosis)> = Vec::new();
        let mut facts =
            fields(json!({"checks": CHECKS.iter().map(|(name, _)| name).collect::<Vec<_>>()}))?;
        let mut limits = Vec::new();
        for &(name, line) in CHECKS {
            match (context.ask)(name, line, context) {
                Ok(report) => {
                    facts.extend(workers::settings(&report));
                    found.extend(report.diagnoses.into_iter().map(|one| (name, one)));
                    limits.extend(report.limits);
                }
                // One that cannot answer does not keep the others from it.
                Err(error) => limits.push(format!("%{name} could not answer: {error}")),
            }
        }
        found.sort_by_key(|(_, one)| (std::cmp::Reverse(one.severity), one.code));
        limits.extend(inline_hooks::remaining());
        limits.extend(door::why_not_asked());
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
            facts,
            summary: vec![summary(counts)],
            rows: found.iter().map(row).collect::<Result<_, _>>()?,
            diagnoses: found.into_iter().map(|(_, one)| one).collect(),
            folds_infos: !args.all,
            limits,
            ..Report::default()
        })
    }
}

/// The diagnosis as it is, and who made it.
fn row((name, one): &(&str, Diagnosis)) -> Result<Row, Error> {
    Ok(Row::of(one)?.with("found_by", format!("%{name}")))
}

/// What to do first. What only informs is told by a line of its own.
fn summary(counts: [(Severity, usize); 3]) -> String {
    let urgent: Vec<String> = counts
        .iter()
        .filter(|(severity, count)| *count > 0 && *severity != Severity::Info)
        .map(|(severity, count)| format!("{count} {}", severity.word()))
        .collect();
    match (
        urgent.is_empty(),
        counts.iter().all(|(_, count)| *count == 0),
    ) {
        (true, true) => "nothing remarkable was found".into(),
        (true, false) => "nothing was found that calls for action".into(),
        (false, _) => format!(
            "found: {}; %diaphane CODE shows the page of a finding",
            urgent.join(", ")
        ),
    }
}
