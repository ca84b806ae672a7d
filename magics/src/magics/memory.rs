//! `%memory`: who has the physical memory of this process, divided into what a person knows; `%%memory` says what a cell
//! changed of it.
//!
//! What there is comes from Linux, region by region, and each part is taken from the region that it lies in, so that the
//! rows add up to the whole: what nobody has claimed is a row of its own.

mod by_region;
mod claims;
mod columns;
mod rows;
mod taken;
mod unclaimed;

use serde_json::json;

use self::rows::MemoryRow;
use crate::error::Error;
use crate::magic::{Context, Form, Magic, Questions, Ran, RecordedCode, Recording, User};
use diaphane_report::view::bytes;
use diaphane_report::{Answer, Bar, Part, Report, Schema, fields};
use diaphane_sight::proc::resource_usage::{ResourceUsage, peak_rss};

/// Show who has the memory of this process: variables, packages, allocators, libraries, and what is left.
///
/// The rows add up to the resident set size. A variable counts with all that it holds, and what several hold counts once, for the one
/// from which it is fewest steps away. Above a cell (%%memory) it shows what is different after the cell.
#[derive(Debug, clap::Args)]
pub(crate) struct MemoryArgs {
    /// A row for each variable, however small
    #[arg(long)]
    all: bool,
}

/// The magic.
pub(crate) struct Memory;

impl Magic for Memory {
    const NAME: &'static str = "memory";
    const FORM: Form = Form::LineOrCell;
    const QUESTIONS: Questions = &[
        ("Who eats my memory: which variables and packages?", ""),
        ("Which variables does a cell leave larger?", "%%"),
    ];
    const RECORDS: bool = true;
    const SCHEMA: &'static Schema = &columns::SCHEMA;
    type Args = MemoryArgs;

    /// It may take seconds, and a cell runs once.
    fn only_looks(_args: &MemoryArgs) -> bool {
        false
    }

    fn run(args: &MemoryArgs, context: &Context<'_, '_>) -> Result<Report, Error> {
        now(args, context.user()?)
    }

    fn begin(
        args: &MemoryArgs,
        _code: &RecordedCode,
        context: &Context<'_, '_>,
    ) -> Result<Box<dyn Recording>, Error> {
        let before = claims::look(context.user()?)?.settled()?;
        let all = args.all;
        Ok(Box::new(Around {
            all,
            before,
            peak: peak_rss(),
        }))
    }
}

fn now(args: &MemoryArgs, user: User<'_, '_>) -> Result<Report, Error> {
    let found = claims::look(user)?;
    let sums = rows::sums(&found.rows);
    let told: Vec<String> = sums
        .iter()
        .take(4)
        .map(|(kind, rss)| format!("{kind} {}", bytes(*rss as f64)))
        .collect();
    let part = |(kind, rss): &(&'static str, i64)| Part {
        name: (*kind).to_owned(),
        words: bytes(*rss as f64),
        amount: *rss as f64,
    };
    let variables = found.rows.iter().filter(|row| row.kind == rows::VARIABLE);
    let largest = variables.max_by_key(|row| row.rss).map(|row| {
        format!(
            "the largest variable is {} with {}",
            row.what,
            bytes(row.rss as f64)
        )
    });
    let of_nobody = of_nobody(&found.rows);
    let summary = format!(
        "{} are in physical memory: {}",
        bytes(found.rss as f64),
        told.join(", ")
    );
    Ok(Report {
        name: Memory::NAME,
        columns: columns::COLUMNS,
        facts: fields(
            json!({"rss": found.rss, "kinds": kinds(&sums), "complete": found.limits.is_empty()}),
        )?,
        bars: vec![Bar {
            title: "physical memory".into(),
            parts: sums.iter().filter(|(_, rss)| *rss > 0).map(part).collect(),
        }],
        rows: diaphane_report::rows(rows::shown(found.rows, args.all))?,
        answer: Some(Answer {
            sentences: [summary]
                .into_iter()
                .chain(largest)
                .chain(of_nobody)
                .collect(),
            table: None,
        }),
        summary: vec![REST.into()],
        limits: found.limits,
        ..Report::default()
    })
}

/// So much is nobody's in every kernel.
const USUAL: i64 = 32 << 20;

/// That more is nobody's than the largest variable has: what extension modules take by themselves is seen as a sum only.
fn of_nobody(rows: &[MemoryRow]) -> Option<String> {
    let largest = |kind| {
        let of_kind = rows.iter().filter(|row| row.kind == kind);
        of_kind.map(|row| row.rss).max().unwrap_or(0)
    };
    let rest = largest(rows::UNKNOWN);
    (rest > largest(rows::VARIABLE).max(USUAL)).then(|| {
        format!(
            "{} are native memory that no Python object tells the size of, as fitted models, parsers and databases take it; \
             above the cell that makes it, %%memory says how much came",
            bytes(rest as f64)
        )
    })
}

/// What cannot be told apart.
const REST: &str =
    "the rest is native memory of packages, and what Python's own allocator keeps free";

fn kinds(sums: &[(&'static str, i64)]) -> serde_json::Value {
    sums.iter()
        .map(|(kind, rss)| ((*kind).to_owned(), json!(rss)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// A peak is told that is so much above what was there before and afterwards.
const NOTEWORTHY: u64 = 1 << 20;

/// What there was before the code ran.
struct Around {
    all: bool,
    before: claims::Found,
    /// The most that was in memory until then.
    peak: Option<u64>,
}

impl Recording for Around {
    fn end(
        self: Box<Self>,
        _code: &RecordedCode,
        user: User<'_, '_>,
        _ran: Ran,
    ) -> Result<Report, Error> {
        if !claims::has_room() {
            return undivided(&self.before);
        }
        // Looking takes memory, too. A peak that is no new one is some earlier code's.
        let peak = peak_rss().filter(|peak| Some(*peak) > self.peak);
        changed(self.all, (self.before, peak), user)
    }
}

/// What is known without another look, for which the cell has left no memory.
fn undivided(before: &claims::Found) -> Result<Report, Error> {
    let rss = ResourceUsage::now().rss;
    let now = rss.map_or("an unknown size".to_owned(), |rss| bytes(rss as f64));
    let was = bytes(before.rss as f64);
    Ok(Report {
        name: Memory::NAME,
        columns: columns::CHANGES,
        facts: fields(json!({"rss": rss, "rss_before": before.rss, "complete": false}))?,
        answer: Some(Answer {
            sentences: vec![format!("physical memory went from {was} to {now}")],
            table: None,
        }),
        limits: vec![
            "less than 64 MiB of memory are left, too little to look at all objects: what is larger now is not known"
                .into(),
        ],
        ..Report::default()
    })
}

/// What is different now, and the most that was in memory meanwhile, where it is known.
fn changed(
    all: bool,
    (before, peak): (claims::Found, Option<u64>),
    user: User<'_, '_>,
) -> Result<Report, Error> {
    let after = claims::look(user)?;
    let change = after.rss as i64 - before.rss as i64;
    let mut limits = before.limits;
    limits.extend(after.limits);
    limits.dedup();
    let mut changes = rows::changes(&before.rows, &after.rows, all);
    if !limits.is_empty() {
        changes = rows::undivided(changes);
    }
    let told: Vec<String> = changes
        .iter()
        .take(3)
        .filter_map(MemoryRow::told_change)
        .collect();
    let summary = format!(
        "physical memory went from {} to {} ({}): {}",
        bytes(before.rss as f64),
        bytes(after.rss as f64),
        rows::signed(change),
        if told.is_empty() {
            "nothing is much larger or smaller".to_owned()
        } else {
            told.join(", ")
        }
    );
    let reserved = changes.iter().filter_map(|row| {
        let rest = bytes(row.reserved()? as f64);
        Some(format!(
            "{}: {rest} are reserved and were never written, so that they are not in memory yet",
            row.what
        ))
    });
    let reserved: Vec<String> = reserved.collect();
    let peak = peak.filter(|peak| *peak > before.rss.max(after.rss) + NOTEWORTHY);
    let meanwhile = peak.map(|peak| format!("meanwhile it was {} at most", bytes(peak as f64)));
    let lead = (!limits.is_empty()).then(|| {
        "Not all objects could be looked at in time: variables hold at least what is shown, and packages are among the rest."
            .to_owned()
    });
    Ok(Report {
        name: Memory::NAME,
        columns: columns::CHANGES,
        lead: lead.into_iter().collect(),
        facts: fields(
            json!({"rss": after.rss, "rss_before": before.rss, "peak": peak, "complete": limits.is_empty()}),
        )?,
        rows: diaphane_report::rows(changes)?,
        answer: Some(Answer {
            sentences: [summary]
                .into_iter()
                .chain(meanwhile)
                .chain(reserved)
                .collect(),
            table: None,
        }),
        limits,
        ..Report::default()
    })
}
