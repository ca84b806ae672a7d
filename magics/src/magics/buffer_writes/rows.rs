//! What was written, as rows and sentences.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use diaphane_report::Address;
use diaphane_report::view::bytes;
use diaphane_sight::proc::pages::{Pages, page_size, whole_pages};
use diaphane_sight::proc::spans::{self, Span};
use serde::Serialize;

use super::watched::{AddedBuffer, WatchedBuffer};

/// So many ranges are told.
const MOST_RANGES: usize = 64;
/// The blocks of the picture in text.
const BLOCKS: usize = 20;
/// So many variables are named in a sentence.
const NAMED: usize = 6;

/// A buffer, and what was written of it.
#[derive(Serialize)]
pub(super) struct WrittenRow {
    pub name: String,
    pub state: State,
    written: Option<usize>,
    pub nbytes: usize,
    r#where: Option<String>,
    kind: String,
    addr: Address,
    pages: usize,
    written_pages: Option<usize>,
    ranges: Vec<WrittenRange>,
    values_changed: Option<bool>,
    shares_with: Option<String>,
    /// The parts, each end from 0 to 1.
    #[serde(skip)]
    pub shares: Vec<(f64, f64)>,
}

/// How much of a buffer was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    Whole,
    Part,
    Not,
    Perhaps,
    New,
    View,
    Freed,
    Unknown,
}

/// A part that was written, in bytes from the buffer's beginning, and the items that lie in it as a whole.
#[derive(Serialize)]
struct WrittenRange {
    first_byte: usize,
    last_byte: usize,
    first_item: Option<usize>,
    last_item: Option<usize>,
}

impl WrittenRow {
    /// A buffer that was watched.
    pub fn of(
        one: &WatchedBuffer,
        pages: &Pages,
        freed: &[AtomicBool],
        refused: &[Span],
    ) -> io::Result<Self> {
        let is_refused = refused.iter().any(|span| span.contains(one.span.start));
        let row = Self::plain(&one.name, &one.kind, one.span);
        if freed[one.owner].load(Ordering::Relaxed) || is_refused {
            let state = if is_refused {
                State::Unknown
            } else {
                State::Freed
            };
            return Ok(Self { state, ..row });
        }
        let written: Vec<Span> = pages.written(one.span)?;
        let inside: Vec<Span> = written
            .iter()
            .map(|part| part.intersection(one.span))
            .filter(|part| !part.is_empty())
            .collect();
        let values_changed = one
            .before
            .as_ref()
            .map(|before| spans::bytes(one.span.start, one.span.len()) != *before);
        let total: usize = inside.iter().map(|part| part.len()).sum();
        let share = |address: usize| (address - one.span.start) as f64 / one.span.len() as f64;
        let shares: Vec<(f64, f64)> = inside
            .iter()
            .map(|part| (share(part.start), share(part.end)))
            .collect();
        Ok(Self {
            state: state(one.span, &written, total, values_changed),
            written: Some(total),
            r#where: Some(blocks(&shares)),
            written_pages: Some(written.iter().map(|part| part.len()).sum::<usize>() / page_size()),
            ranges: inside
                .iter()
                .take(MOST_RANGES)
                .map(|part| WrittenRange::of(*part, one))
                .collect(),
            values_changed,
            shares,
            ..row
        })
    }

    /// One that the cell has made.
    pub fn new(added: AddedBuffer) -> Self {
        let state = match added.shares_with {
            Some(_) => State::View,
            None => State::New,
        };
        Self {
            state,
            shares_with: added.shares_with,
            ..Self::plain(&added.name, &added.kind, added.span)
        }
    }

    fn plain(name: &str, kind: &str, span: Span) -> Self {
        Self {
            name: name.to_owned(),
            state: State::Unknown,
            written: None,
            nbytes: span.len(),
            r#where: None,
            kind: kind.to_owned(),
            addr: Address(span.start),
            pages: whole_pages(span).len() / page_size(),
            written_pages: None,
            ranges: Vec::new(),
            values_changed: None,
            shares_with: None,
            shares: Vec::new(),
        }
    }
}

impl WrittenRange {
    fn of(part: Span, one: &WatchedBuffer) -> Self {
        let (first, end) = (part.start - one.span.start, part.end - one.span.start);
        let item = one.item.filter(|item| *item > 0);
        Self {
            first_byte: first,
            last_byte: end - 1,
            first_item: item.map(|item| first.div_ceil(item)),
            last_item: item.and_then(|item| (end / item).checked_sub(1)),
        }
    }
}

/// What the written pages say of a buffer: one that they share with others may be theirs.
fn state(span: Span, written: &[Span], total: usize, changed: Option<bool>) -> State {
    if total == 0 {
        return State::Not;
    }
    let page = page_size();
    let own = Span::new(
        span.start.next_multiple_of(page),
        (span.end / page * page).max(span.start),
    );
    let is_own = written
        .iter()
        .any(|part| own.start < own.end && !part.intersection(own).is_empty());
    match (is_own, changed) {
        (false, Some(false) | None) => State::Perhaps,
        _ if total == span.len() && (is_own || changed == Some(true)) => State::Whole,
        _ => State::Part,
    }
}

/// The buffer as a row of blocks: full where all was written, half where some was.
fn blocks(shares: &[(f64, f64)]) -> String {
    let block = |number: usize| {
        let (from, to) = (
            number as f64 / BLOCKS as f64,
            (number + 1) as f64 / BLOCKS as f64,
        );
        let covered: f64 = shares
            .iter()
            .map(|(start, end)| (end.min(to) - start.max(from)).max(0.0))
            .sum();
        match covered * BLOCKS as f64 {
            none if none <= 0.0 => '░',
            all if all > 0.99 => '█',
            _ => '▒',
        }
    };
    (0..BLOCKS).map(block).collect()
}

/// What was written, what was made, what was left alone.
pub(super) fn sentences(rows: &[WrittenRow]) -> Vec<String> {
    let of = |state: State| rows.iter().filter(move |row| row.state == state);
    let sentence = |state: State, words: &str| {
        let names: Vec<String> = of(state).map(|row| row.name.clone()).collect();
        (!names.is_empty()).then(|| format!("{words}: {}", listed(&names)))
    };
    let parts: Vec<String> = of(State::Part)
        .map(|row| {
            let written = bytes(row.written.unwrap_or(0) as f64);
            format!("{} ({written} of {})", row.name, bytes(row.nbytes as f64))
        })
        .collect();
    let part = (!parts.is_empty()).then(|| format!("written in part: {}", listed(&parts)));
    let all = [
        sentence(State::Whole, "written in place, as a whole"),
        part,
        sentence(State::New, "new, with memory of its own"),
        sentence(State::View, "new, a view of memory that was there before"),
        sentence(
            State::Perhaps,
            "perhaps written, on a page that is shared with others",
        ),
        sentence(State::Freed, "freed"),
        sentence(State::Not, "not written"),
        sentence(
            State::Unknown,
            "not known, since Linux would not watch its pages",
        ),
    ];
    let told: Vec<String> = all.into_iter().flatten().collect();
    match told.is_empty() {
        true => vec!["no variable has an array or another buffer that could be written to".into()],
        false => vec![told.join("; ")],
    }
}

fn listed(names: &[String]) -> String {
    match names.len().saturating_sub(NAMED) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names[..NAMED].join(", ")),
    }
}
