//! What was written, as rows and sentences.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use diaphane_report::Address;
use diaphane_report::view::bytes;
use diaphane_sight::proc::pages::{Pages, page_size, whole_pages};
use diaphane_sight::proc::spans::{self, Span};
use serde::Serialize;

use super::watched::{AddedBuffer, WatchedBuffer, own_pages};

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
    Same,
    New,
    View,
    Left,
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
        // A mapping that was closed tells nobody.
        let is_gone = || !matches!(spans::read(one.span.start, &mut [0]), Ok(1));
        if is_refused || freed[one.owner].load(Ordering::Relaxed) || is_gone() {
            let state = if is_refused {
                State::Unknown
            } else {
                State::Freed
            };
            return Ok(Self { state, ..row });
        }
        let written: Vec<Span> = pages.written(one.span)?;
        let inside = own_part(one, &written);
        let values_changed = one.item.and_then(|_| one.before.changed(one.span));
        let total: usize = inside.iter().map(|part| part.len()).sum();
        let share = |address: usize| (address - one.span.start) as f64 / one.span.len() as f64;
        let shares: Vec<(f64, f64)> = inside
            .iter()
            .map(|part| (share(part.start), share(part.end)))
            .collect();
        Ok(Self {
            state: state(one, &written, total, values_changed),
            written: Some(total),
            r#where: Some(blocks(&shares)),
            written_pages: Some(
                inside
                    .iter()
                    .map(|part| whole_pages(*part).len())
                    .sum::<usize>()
                    / page_size(),
            ),
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

    /// Of memory that is another one's by now.
    pub fn free(&mut self) {
        self.state = State::Freed;
        (self.written, self.written_pages, self.r#where) = (None, None, None);
        self.ranges.clear();
        self.shares.clear();
    }

    /// Of memory that its variable has no more, and that was not written.
    pub fn leave_unless(&mut self, is_kept: bool) {
        if !is_kept && matches!(self.state, State::Not | State::Same | State::Perhaps) {
            self.state = State::Left;
        }
    }

    /// Whether some of it was written.
    pub fn is_written(&self) -> bool {
        matches!(self.state, State::Whole | State::Part)
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

/// What was written of a buffer. On a page that it shares with others, that is known where its bytes are others now, or
/// where the page beside it was written.
fn own_part(one: &WatchedBuffer, written: &[Span]) -> Vec<Span> {
    let own = own_pages(one.span);
    let parts = written.iter().map(|part| part.intersection(one.span));
    let mut inside: Vec<Span> = parts.filter(|part| !part.is_empty()).collect();
    if own.is_empty() {
        return inside;
    }
    let is_other = |edge: Span| one.before.changed(edge) != Some(false);
    for part in &mut inside {
        if part.start < own.start
            && part.end <= own.start
            && !is_other(Span::new(part.start, own.start))
        {
            part.start = part.end;
        }
        if part.end > own.end && part.start >= own.end && !is_other(Span::new(own.end, part.end)) {
            part.end = part.start;
        }
    }
    inside.retain(|part| !part.is_empty());
    inside
}

/// What the written pages say of a buffer: one that they share with others may be theirs.
fn state(one: &WatchedBuffer, written: &[Span], total: usize, changed: Option<bool>) -> State {
    if written
        .iter()
        .all(|part| part.intersection(one.span).is_empty())
    {
        return State::Not;
    }
    let own = own_pages(one.span);
    let is_own = written
        .iter()
        .any(|part| !part.intersection(own).is_empty());
    let edges = [
        Span::new(one.span.start, own.start.min(one.span.end)),
        Span::new(own.end.max(one.span.start), one.span.end),
    ];
    let edges = edges.into_iter().filter(|edge| !edge.is_empty());
    let edges: Vec<Option<bool>> = edges.map(|edge| one.before.changed(edge)).collect();
    let is_changed = changed == Some(true) || edges.contains(&Some(true));
    match is_own || is_changed {
        // The items of others lie between its own, on the same pages.
        true if one.item.is_none() => State::Perhaps,
        true if total == one.span.len() => State::Whole,
        true => State::Part,
        false if edges.contains(&None) => State::Perhaps,
        false => State::Same,
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
            let pages = match row.written_pages {
                Some(1) => "1 page".into(),
                pages => format!("{} pages", pages.unwrap_or(0)),
            };
            let size = bytes(row.nbytes as f64);
            format!("{} ({pages}, {written} of {size})", row.name)
        })
        .collect();
    let part = (!parts.is_empty()).then(|| format!("written in part: {}", listed(&parts)));
    let all = [
        sentence(State::Whole, "written in place, on all of its pages"),
        part,
        sentence(State::New, "new, with memory of its own"),
        sentence(State::View, "new, a view of memory that was there before"),
        sentence(
            State::Perhaps,
            "perhaps written, on a page that is shared with others",
        ),
        sentence(State::Left, "not written, and the variable's no more"),
        sentence(State::Freed, "freed"),
        sentence(
            State::Same,
            "as before, on a page on which others were written",
        ),
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
