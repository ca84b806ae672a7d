//! `%%buffer_trace`: which array buffers a cell allocated, kept and freed, and which line did.

mod columns;
mod views;

use std::time::Instant;

use self::views::{Before, SharedName};

use pyo3::prelude::*;
use serde::Serialize;
use serde_json::json;

use crate::cli;
use crate::error::Error;
use crate::magic::{Context, Form, Magic, Questions, Ran, RecordedCode, Recording, User};
use crate::memory::arrow_pools::{self, MemoryPool};
use crate::memory::buffers;
use crate::memory::keepers::Keepers;
use crate::numpy::arrays;
use crate::numpy::memory_handler::InstalledHandler;
use crate::numpy::memory_handler::log::{FreedKey, Log, Site};
use crate::numpy::memory_handler::origins;
use diaphane_report::view::bytes;
use diaphane_report::{Address, Report, Schema, fields, rows};

/// Run the cell, and show which array buffers it allocated, kept and freed, by line.
///
/// NumPy's own allocations are seen, in the thread of the cell. Buffers that are alike in line, size and end are one row.
/// The cell runs as it would without the magic.
#[derive(Debug, clap::Args)]
pub(crate) struct BufferTraceArgs {
    /// Leave out smaller buffers, such as those of single numbers; a number of bytes, or with a unit: 1MB
    #[arg(long, value_name = "SIZE", value_parser = cli::size, default_value = "64")]
    min: usize,
}

/// The end of a buffer that is not there any more.
const FREED: &str = "freed";

#[derive(Serialize)]
struct AllocationRow {
    place: Option<String>,
    line: Option<u32>,
    source: Option<String>,
    through: Option<String>,
    count: usize,
    nbytes: usize,
    total_bytes: usize,
    how: &'static str,
    state: &'static str,
    is_view: bool,
    kept_by: Option<String>,
    lifetime_ns: Option<u64>,
    addr: Address,
    #[serde(skip)]
    number: usize,
}

/// The magic.
pub(crate) struct BufferTrace;

impl Magic for BufferTrace {
    const NAME: &'static str = "buffer_trace";
    const FORM: Form = Form::Cell;
    const QUESTIONS: Questions = &[("Which arrays does a cell allocate, and who keeps them?", "")];
    const RECORDS: bool = true;
    const SCHEMA: &'static Schema = &columns::SCHEMA;
    type Args = BufferTraceArgs;

    fn begin(
        args: &BufferTraceArgs,
        code: &RecordedCode,
        context: &Context<'_, '_>,
    ) -> Result<Box<dyn Recording>, Error> {
        let user = context.user()?;
        if !arrays::is_imported(user.py)? {
            return Err(Error::Usage(
                "%%buffer_trace sees what NumPy allocates, and NumPy is not imported yet: \
                 import it before"
                    .into(),
            ));
        }
        let sizes = sizes(&code.names, user)?;
        let before = Before::the_cell(&code.names, user)?;
        let pools = arrow_pools::used(user.py)?;
        let installed = InstalledHandler::new(user.py, code.file.bind(user.py), args.min)?;
        Ok(Box::new(TracedBuffers {
            installed,
            sizes,
            before,
            pools,
            started: Instant::now(),
        }))
    }
}

/// A recording, with the arrays that the code names.
struct TracedBuffers {
    installed: InstalledHandler,
    sizes: Vec<(String, usize)>,
    before: Before,
    /// Arrow's pools, before the code ran.
    pools: Vec<MemoryPool>,
    started: Instant,
}

impl Recording for TracedBuffers {
    fn end(
        mut self: Box<Self>,
        code: &RecordedCode,
        user: User<'_, '_>,
        _ran: Ran,
    ) -> Result<Report, Error> {
        let elapsed = self.started.elapsed();
        let was_ours = self.installed.take_out(user.py)?;
        let log = self.installed.close(user.py)?;
        let mut limits = Vec::new();
        if !was_ours {
            limits.push(
                "another memory handler was set meanwhile: what came after is not seen".into(),
            );
        }
        Ok(Report {
            plain: Some(elapsed.saturating_sub(log.spent)),
            ..report(&log, code, user, &self, limits)?
        })
    }
}

fn report(
    log: &Log,
    code: &RecordedCode,
    user: User<'_, '_>,
    traced: &TracedBuffers,
    mut limits: Vec<String>,
) -> Result<Report, Error> {
    let keepers = Keepers::of(user, log.alive.keys().copied())?;
    let mut all = rows_of(log, code, &keepers);
    all.sort_by_key(|row| row.number);
    for row in all.iter().filter(|row| row.state != FREED) {
        if let Some(place) = &row.place {
            origins::remember(row.addr.0, place.clone());
        }
    }
    if log.unlisted > 0 {
        limits.push(format!(
            "{} more freed buffers are counted, and not listed",
            log.unlisted
        ));
    }
    if keepers.is_cut {
        limits.push("there are too many objects to look for everyone who keeps a buffer".into());
    }
    limits.push("arrays of other threads are not seen: a memory handler is one context's".into());
    let pools = arrow_pools::all(user.py)?;
    let touched = |pool: &&MemoryPool| pool.was_touched_since(&traced.pools);
    let sizes = &traced.sizes;
    let views = traced.before.shared(&code.names, user)?;
    let kept: Vec<&AllocationRow> = all.iter().filter(|row| row.state != FREED).collect();
    let kept_bytes: usize = kept.iter().map(|row| row.nbytes).sum();
    Ok(Report {
        name: BufferTrace::NAME,
        columns: columns::COLUMNS,
        facts: fields(json!({
            "allocated": log.born,
            "allocated_bytes": log.bytes,
            "freed": log.born - log.alive.len(),
            "kept": log.alive.len(),
            "kept_bytes": kept_bytes,
            "peak_bytes": log.peak,
            "largest_bytes": log.largest,
            "smaller": log.smaller,
            "not_copied": not_copied(log, sizes),
            "views": views,
            "pools": pools,
        }))?,
        summary: summary(log, &kept, kept_bytes, sizes)
            .into_iter()
            .chain(views.iter().map(SharedName::sentence))
            .chain(
                pools
                    .iter()
                    .filter(touched)
                    .map(|pool| pool.sentence_since(&traced.pools)),
            )
            .collect(),
        rows: rows(all)?,
        limits,
        ..Report::default()
    })
}

fn rows_of(log: &Log, code: &RecordedCode, keepers: &Keepers) -> Vec<AllocationRow> {
    let row = |alike: &FreedKey| AllocationRow {
        place: alike.site.line.map(|line| code.place(line)),
        line: alike.site.line,
        source: source(code, &alike.site),
        through: alike.site.through.clone(),
        count: 1,
        nbytes: alike.bytes,
        total_bytes: alike.bytes,
        how: alike.how.word(),
        state: FREED,
        is_view: false,
        kept_by: None,
        lifetime_ns: None,
        addr: Address(0),
        number: 0,
    };
    let freed = log.freed.iter().map(|(alike, freed)| AllocationRow {
        count: freed.count,
        total_bytes: alike.bytes.saturating_mul(freed.count),
        lifetime_ns: u64::try_from(freed.longest.as_nanos()).ok(),
        addr: Address(freed.address),
        number: freed.number,
        ..row(alike)
    });
    let alive = log.alive.iter().map(|(&address, alive)| {
        let keeper = keepers.at(address);
        let alike = FreedKey {
            bytes: alive.bytes,
            how: alive.how,
            site: alive.site.clone(),
        };
        AllocationRow {
            state: "kept",
            is_view: keeper.is_some_and(|keeper| keeper.is_view),
            kept_by: keeper.map(|keeper| keeper.name.clone()),
            addr: Address(address),
            number: alive.number,
            ..row(&alike)
        }
    });
    freed.chain(alive).collect()
}

fn source(code: &RecordedCode, site: &Site) -> Option<String> {
    let line = usize::try_from(site.line?).ok()?.checked_sub(1)?;
    Some(code.source.lines().nth(line)?.trim().to_owned())
}

/// The arrays that the cell names, with their sizes before it ran.
fn sizes(names: &[String], user: User<'_, '_>) -> PyResult<Vec<(String, usize)>> {
    let mut sizes = Vec::new();
    for name in names {
        if let Some(object) = user.namespace.get_item(name)?
            && let Some(buffer) = buffers::array(&object)?
        {
            sizes.push((name.clone(), buffer.layout.listed()));
        }
    }
    Ok(sizes)
}

/// The arrays that are larger than every buffer that was allocated.
fn not_copied<'a>(log: &Log, sizes: &'a [(String, usize)]) -> Vec<&'a str> {
    let seen = log.largest.max(log.least);
    let larger = sizes.iter().filter(|(_, size)| *size > seen);
    larger.map(|(name, _)| name.as_str()).collect()
}

fn summary(
    log: &Log,
    kept: &[&AllocationRow],
    kept_bytes: usize,
    sizes: &[(String, usize)],
) -> Vec<String> {
    let size = |count: usize| bytes(count as f64);
    let allocated = match log.born {
        0 => return sentences("no buffer of NumPy's was allocated".to_owned(), log, sizes),
        1 => format!("1 buffer allocated ({})", size(log.bytes)),
        many => format!("{many} buffers allocated ({})", size(log.bytes)),
    };
    let names: Vec<&str> = kept
        .iter()
        .filter_map(|row| row.kept_by.as_deref())
        .collect();
    let kept = match (kept.len(), names.len()) {
        (0, _) => "none kept".to_owned(),
        (count, 1..=3) => format!("{count} kept ({}, {})", names.join(", "), size(kept_bytes)),
        (count, _) => format!("{count} kept ({})", size(kept_bytes)),
    };
    let text = format!("{allocated}; {kept}; peak {}", size(log.peak));
    sentences(text, log, sizes)
}

/// The summary, and which arrays were not copied.
fn sentences(text: String, log: &Log, sizes: &[(String, usize)]) -> Vec<String> {
    let whole = not_copied(log, sizes);
    let copied = (!whole.is_empty()).then(|| {
        let verb = if whole.len() > 1 { "were" } else { "was" };
        format!(
            "{} {verb} not copied as a whole: no buffer is as large",
            whole.join(", ")
        )
    });
    let smaller = (log.smaller > 0).then(|| {
        let least = bytes(log.least as f64);
        format!("{} smaller than {least} left out", log.smaller)
    });
    let text = std::iter::once(text).chain(smaller);
    let text = text.collect::<Vec<_>>().join("; ");
    std::iter::once(text).chain(copied).collect()
}
