//! `%%buffer_writes`: which arrays a cell wrote to, and which pages of them, so that "in place" and "copy" can be seen.
//!
//! `diaphane_trace::write_protection` has Linux note each first write of a page; here the pages are told as parts of
//! variables (`rows`) and drawn (`ruler`).

mod columns;
mod rows;
mod ruler;
mod watched;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use diaphane_report::view::bytes;
use diaphane_report::{Answer, Report, Schema, fields};
use diaphane_sight::proc::pages::{Pages, page_size};
use diaphane_sight::proc::spans::Span;
use diaphane_trace::write_protection::WriteProtection;
use pyo3::PyErr;
use serde_json::json;

use self::rows::WrittenRow;
use self::watched::WatchedBuffer;
use crate::error::Error;
use crate::magic::{Context, Form, Magic, Questions, Ran, RecordedCode, Recording, User};
use crate::recording::owners::WatchedOwners;

/// Run the cell, and show which arrays it wrote to, and which part of them: in place, or a copy?
///
/// Linux notes the first write to each page of 4096 bytes, by any thread, and its own for calls such as `readinto`. Without
/// a NAME all variables that export memory are looked at.
#[derive(Debug, clap::Args)]
pub(crate) struct BufferWritesArgs {
    /// Variables to look at
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

/// The magic.
pub(crate) struct BufferWrites;

impl Magic for BufferWrites {
    const NAME: &'static str = "buffer_writes";
    const FORM: Form = Form::Cell;
    const QUESTIONS: Questions = &[("Which of my arrays does a cell write to, and where?", "")];
    const RECORDS: bool = true;
    const SCHEMA: &'static Schema = &columns::SCHEMA;
    type Args = BufferWritesArgs;

    fn begin(
        args: &BufferWritesArgs,
        _code: &RecordedCode,
        context: &Context<'_, '_>,
    ) -> Result<Box<dyn Recording>, Error> {
        let user = context.user()?;
        let watched::WatchedMemory {
            buffers: watched,
            owners,
            read_only,
        } = watched::of(&args.names, user)?;
        let spans = watched::merged(&watched);
        let (protection, refused) = user
            .py
            .detach(|| WriteProtection::begin(&spans))
            .map_err(|refused| {
                Error::Usage(format!(
                    "%%buffer_writes: {refused}; %%buffer_trace and %buffer_addr work here, which tell copies and who shares \
                     memory"
                ))
            })?;
        let freed: Arc<[AtomicBool]> = owners.iter().map(|_| AtomicBool::new(false)).collect();
        let told = Arc::clone(&freed);
        let owners = WatchedOwners::watch(user.py, owners, move |place| {
            told[place].store(true, Ordering::Relaxed);
        })?;
        Ok(Box::new(WatchedPages {
            protection,
            refused: refused.into_iter().map(|(span, _)| span).collect(),
            watched,
            read_only,
            owners,
            freed,
            names: args.names.clone(),
            process: std::process::id(),
            started: Instant::now(),
        }))
    }
}

/// Pages that are being watched.
struct WatchedPages {
    protection: WriteProtection,
    refused: Vec<Span>,
    watched: Vec<WatchedBuffer>,
    read_only: HashSet<(String, Span)>,
    owners: WatchedOwners,
    freed: Arc<[AtomicBool]>,
    names: Vec<String>,
    process: u32,
    started: Instant,
}

impl Recording for WatchedPages {
    fn end(
        self: Box<Self>,
        _code: &RecordedCode,
        user: User<'_, '_>,
        _ran: Ran,
    ) -> Result<Report, Error> {
        let elapsed = self.started.elapsed();
        let Self {
            protection,
            refused,
            watched,
            read_only,
            owners,
            freed,
            names,
            process,
            ..
        } = *self;
        if process != std::process::id() {
            return Err(Error::Usage(
                "%%buffer_writes: this process is a child of the one that was watched; what was seen is there".into(),
            ));
        }
        let pages = Pages::open().map_err(PyErr::from)?;
        let mut found: Vec<WrittenRow> = watched
            .iter()
            .map(|one| WrittenRow::of(one, &pages, &freed, &refused))
            .collect::<Result<_, _>>()
            .map_err(PyErr::from)?;
        drop(owners);
        let left = user.py.detach(|| protection.end());
        let is_freed = |one: &WatchedBuffer| freed[one.owner].load(Ordering::Relaxed);
        let now = watched::now(&watched, &read_only, is_freed, &names, user);
        for (place, row) in found.iter_mut().enumerate() {
            if now.moved.contains(&place) {
                row.free();
            }
            row.leave_unless(now.kept.contains(&place));
        }
        found.extend(now.added.into_iter().map(WrittenRow::new));
        Ok(Report {
            facts: fields(json!({
                "elapsed_ns": u64::try_from(elapsed.as_nanos()).ok(),
                "page_bytes": page_size(),
                "watched_bytes": watched::merged(&watched).iter().map(|span| span.len()).sum::<usize>(),
                "divided_bytes": left,
            }))?,
            limits: limits(left),
            ..report(&found)?
        })
    }
}

fn report(found: &[WrittenRow]) -> Result<Report, Error> {
    Ok(Report {
        name: BufferWrites::NAME,
        columns: columns::COLUMNS,
        answer: Some(Answer {
            sentences: rows::sentences(found),
            table: None,
        }),
        chart: ruler::of(found),
        rows: diaphane_report::rows(found)?,
        summary: found
            .iter()
            .any(|row| row.is_written())
            .then(unit)
            .into_iter()
            .collect(),
        ..Report::default()
    })
}

/// What the bytes that were written are counted in.
fn unit() -> String {
    format!(
        "written bytes are those of whole pages of {} bytes, the least that Linux tells: a cell may have written less of them",
        page_size()
    )
}

fn limits(left: usize) -> Vec<String> {
    let divided = (left > 0).then(|| {
        format!(
            "{} are no longer in huge pages, since Linux divides one that is watched and written; it joins them again in time",
            bytes(left as f64)
        )
    });
    divided.into_iter().collect()
}
