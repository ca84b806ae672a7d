//! `%%watch_buffer`: who writes to an element of an array while a cell runs, by the processor's watchpoints.
//!
//! `diaphane_trace::watchpoints` stops each thread at its write for a moment; here the element is found (`element`), the
//! writes are kept (`hits`), and told with their values (`rows`).

mod columns;
mod element;
mod hits;
mod rows;
mod stop;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use diaphane_cpython::interpreter::{begin_above, begin_at_all, note_above_of};
use diaphane_cpython::{check, support};
use diaphane_report::{Answer, Report, Schema, fields};
use diaphane_trace::watchpoints::{
    self, Access, MOST_SPOTS, RunningWatch, WatchPlan, WatchRefused, WatchTotals,
};
use pyo3::prelude::*;
use serde_json::json;

use self::element::Element;
use self::hits::Hits;
use self::rows::WatchedCell;
use self::stop::StopAtFirst;
use crate::error::Error;
use crate::magic::{Context, Form, Magic, Questions, Ran, RecordedCode, Recording, User, Way};
use crate::recording::owners::WatchedOwners;
use crate::session::executed_code::{self, Kept};

/// Run the cell, and show who writes to an element of an array: the line, the native function, the thread, both values.
///
/// An ELEMENT is `a[10]`, `m[2,3]` or `"d['x'][0]"`, of a NumPy array or of anything else with the buffer
/// protocol. The processor watches up to four at once, of 8 bytes at the most, so the cell runs at its full speed but for the
/// writes. What Linux writes by itself, as for `readinto`, is told at the end, without who asked for it.
#[derive(Debug, clap::Args)]
pub(crate) struct WatchBufferArgs {
    /// Elements to watch
    #[arg(value_name = "ELEMENT", required = true)]
    elements: Vec<String>,
    /// Watch so many bytes from the element's beginning on, and show them as a number
    #[arg(long, value_name = "1|2|4|8", value_parser = ["1", "2", "4", "8"])]
    len: Option<String>,
    /// Count reads too
    #[arg(long)]
    read: bool,
    /// Raise an error at the first write; the line that it names may be a few instructions behind, the report's is right
    #[arg(long)]
    stop: bool,
    /// End the watch after N writes
    #[arg(long, value_name = "N", default_value = "1000", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    most: u64,
    /// A row for each write, also for those that follow on each other at one place
    #[arg(long)]
    each: bool,
    /// With the functions of each row, Python's and native ones, the innermost first
    #[arg(long)]
    stack: bool,
}

/// The magic.
pub(crate) struct WatchBuffer;

impl Magic for WatchBuffer {
    const NAME: &'static str = "watch_buffer";
    const FORM: Form = Form::Cell;
    const QUESTIONS: Questions = &[("Who writes to this element of my array?", "ELEMENT")];
    const RECORDS: bool = true;
    const SCHEMA: &'static Schema = &columns::SCHEMA;
    type Args = WatchBufferArgs;

    fn begin(
        args: &WatchBufferArgs,
        code: &RecordedCode,
        context: &Context<'_, '_>,
    ) -> Result<Box<dyn Recording>, Error> {
        let user = context.user()?;
        let length = args.len.as_ref().and_then(|length| length.parse().ok());
        let (mut elements, mut owners) = (Vec::new(), Vec::new());
        for name in &element::names(&args.elements)? {
            let (found, owner) = element::of(name, length, user)?;
            elements.extend(found);
            owners.push(owner);
        }
        if elements.len() > MOST_SPOTS {
            return Err(Error::Usage(format!(
                "%%watch_buffer: the processor watches {MOST_SPOTS} elements at once, and these are {}",
                elements.len()
            )));
        }
        Ok(Box::new(WatchedElements::begin(
            args,
            (elements, owners),
            code,
            user,
        )?))
    }
}

/// A watch, with what is told of it.
struct WatchedElements {
    running: RunningWatch<Hits>,
    elements: Arc<Vec<Element>>,
    /// They end the watch when the memory is freed.
    owners: WatchedOwners,
    is_freed: Arc<AtomicBool>,
    stop: Option<StopAtFirst>,
    executed: Kept,
    access: Access,
    most: u64,
    each: bool,
    stack: bool,
    started: Instant,
    started_ns: u64,
}

impl WatchedElements {
    fn begin(
        args: &WatchBufferArgs,
        (elements, owners): (Vec<Element>, Vec<Bound<'_, PyAny>>),
        code: &RecordedCode,
        user: User<'_, '_>,
    ) -> Result<Self, Error> {
        check(user.py);
        let elements = Arc::new(elements);
        let main = nix::unistd::gettid().as_raw();
        match code.way {
            Way::Module { .. } => begin_above(main),
            Way::Block | Way::Process => begin_at_all(),
        }
        let access = match args.read {
            true => Access::ReadOrWrite,
            false => Access::Write,
        };
        let stop = match args.stop {
            true => Some(StopAtFirst::begin(user.py, Arc::clone(&elements))?),
            false => None,
        };
        let plan = WatchPlan {
            spots: elements.iter().map(|element| element.spot).collect(),
            access,
            most: args.most,
            main: (main, code.floor()),
            note: note_above_of,
            at_first: stop.as_ref().map(|_| stop::interrupt as fn()),
        };
        let running = user
            .py
            .detach(|| watchpoints::begin(&plan, Hits::default()))
            .map_err(refused)?;
        let is_freed = Arc::new(AtomicBool::new(false));
        let (switch, freed) = (running.switch(), Arc::clone(&is_freed));
        let owners = WatchedOwners::watch(user.py, owners, move |_| {
            switch.turn_off();
            freed.store(true, Ordering::Relaxed);
        })?;
        Ok(Self {
            running,
            elements,
            owners,
            is_freed,
            stop,
            executed: executed_code::keep(),
            access,
            most: args.most,
            each: args.each,
            stack: args.stack,
            started: Instant::now(),
            started_ns: hits::now_ns(),
        })
    }
}

fn refused(refused: WatchRefused) -> Error {
    let instead = match refused {
        WatchRefused::Forbidden(_) | WatchRefused::Unsupported(_) => {
            "; %%buffer_trace and %buffer_addr work here, which tell copies and who shares memory"
        }
        _ => "",
    };
    Error::Usage(format!("%%watch_buffer: {refused}{instead}"))
}

impl Recording for WatchedElements {
    fn end(
        self: Box<Self>,
        code: &RecordedCode,
        user: User<'_, '_>,
        _ran: Ran,
    ) -> Result<Report, Error> {
        let elapsed = self.started.elapsed();
        let Self {
            running,
            owners,
            stop,
            elements,
            ..
        } = *self;
        drop(owners);
        let ended = user.py.detach(|| running.end());
        if let Some(stop) = stop {
            stop.end(user.py)?;
        }
        let Some((hits, totals)) = ended else {
            return Err(Error::Usage(
                "%%watch_buffer: this process is a child of the one that was watched; what was seen is there".into(),
            ));
        };
        let told = WatchedCell {
            elements: &elements,
            access: self.access,
            each: self.each,
            started_ns: self.started_ns,
            is_freed: self.is_freed.load(Ordering::Relaxed),
            is_full: totals.is_full,
        };
        let limits = limits(self.most, &totals, &told, user.py);
        let report = report(&told, hits, &totals, elapsed, (code, user))?;
        drop(self.executed);
        Ok(Report {
            limits,
            row_listings: report.row_listings.filter(|_| self.stack),
            ..report
        })
    }
}

fn report(
    told: &WatchedCell<'_>,
    hits: Hits,
    totals: &WatchTotals,
    elapsed: Duration,
    (code, user): (&RecordedCode, User<'_, '_>),
) -> Result<Report, Error> {
    let rows = told.rows(hits, code, user)?;
    let words = |element: &Element| -> Result<_, Error> {
        Ok(json!({
            "name": element.name,
            "addr": diaphane_report::Address(element.spot.address),
            "length": element.spot.length,
            "dtype": element.dtype,
            "value": (!told.is_freed).then(|| element.text(element.now(), user.py)),
            "elsewhere": element.elsewhere(user),
        }))
    };
    let watched = told
        .elements
        .iter()
        .map(words)
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Report {
        name: WatchBuffer::NAME,
        columns: columns::COLUMNS,
        answer: Some(Answer {
            sentences: told.sentences(&rows, user),
            table: None,
        }),
        row_listings: Some(("number", rows.iter().map(rows::WriteRow::listing).collect())),
        facts: fields(json!({
            "elapsed_ns": u64::try_from(elapsed.as_nanos()).ok(),
            "watched": watched,
            "hits": totals.hits,
            "lost": totals.lost,
            "ended_early": totals.is_full,
        }))?,
        rows: diaphane_report::rows(&rows)?,
        ..Report::default()
    })
}

/// What was not seen.
fn limits(most: u64, totals: &WatchTotals, told: &WatchedCell<'_>, py: Python<'_>) -> Vec<String> {
    let mut limits = Vec::new();
    if totals.is_full {
        limits.push(format!(
            "the watch ended after {most} of them: what came later was not seen; --most N goes on for longer"
        ));
    }
    if told.is_freed {
        limits.push("the memory was freed while the cell ran, and the watch ended with it".into());
    } else if !totals.is_full {
        limits.extend(totals.changed_unseen.iter().map(|&spot| {
            let element = &told.elements[spot];
            format!(
                "{} is {} now, and who wrote that was not seen: Linux writes by itself for calls such as read, and so does \
                 another process into shared memory",
                element.name,
                element.text(element.now(), py)
            )
        }));
    }
    if totals.lost > 0 {
        limits.push(format!(
            "{} are counted only: they came too fast",
            totals.lost
        ));
    }
    if totals.is_replaced {
        limits.push(
            "the cell has set a handler for SIGTRAP, by which a watch is told: what came after that was not seen".into(),
        );
    }
    if !totals.unwatched.is_empty() {
        let tids: Vec<String> = totals.unwatched.iter().map(i32::to_string).collect();
        limits.push(format!(
            "threads that could not be watched: {}",
            tids.join(", ")
        ));
    }
    limits.extend(support());
    limits
}
