//! The rows: what has how much of the memory, and what became of it over a cell.

use std::collections::BTreeMap;

use diaphane_report::view::bytes;
use serde::Serialize;

pub(super) const VARIABLE: &str = "variable";
pub(super) const HISTORY: &str = "history";
pub(super) const PACKAGE: &str = "package data";
pub(super) const CODE: &str = "Python code";
pub(super) const KERNEL: &str = "kernel";
pub(super) const FREE: &str = "free in allocators";
pub(super) const LIBRARIES: &str = "libraries";
pub(super) const FILES: &str = "files";
pub(super) const STACKS: &str = "stacks";
pub(super) const UNKNOWN: &str = "not told apart";

/// Variables and packages that hold less than this part of the whole are told in one row.
const SMALL_PART: i64 = 200;
/// So much of a variable that is not in memory is told.
const MUCH: u64 = 1 << 20;
/// A change that is smaller is not told.
const SMALL_CHANGE: u64 = 16 << 10;

/// One part of the memory.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct MemoryRow {
    pub what: String,
    pub kind: &'static str,
    #[serde(rename = "type")]
    pub type_name: Option<String>,
    pub rss: i64,
    pub share: Option<f64>,
    pub size: Option<u64>,
    pub buffers: Option<u64>,
    pub objects: Option<usize>,
    pub give_back: Option<String>,
    pub also: Vec<String>,
    pub rss_before: Option<i64>,
    pub change: Option<i64>,
}

impl MemoryRow {
    /// Of a variable's memory, what was never written: it is in memory only when it is.
    pub fn reserved(&self) -> Option<u64> {
        let size = self
            .size
            .filter(|size| self.kind == VARIABLE && *size >= MUCH)?;
        let present = u64::try_from(self.rss).unwrap_or(0);
        size.checked_sub(present).filter(|rest| *rest > size / 2)
    }

    fn size_of_change(&self) -> u64 {
        self.change.unwrap_or(0).unsigned_abs()
    }

    /// The change in words, where there is one.
    pub fn told_change(&self) -> Option<String> {
        let change = self.change.filter(|change| *change != 0)?;
        Some(format!("{} {}", self.what, signed(change)))
    }
}

/// A change with its sign.
pub(super) fn signed(change: i64) -> String {
    let sign = if change < 0 { '-' } else { '+' };
    format!("{sign}{}", bytes(change.unsigned_abs() as f64))
}

/// The sums by kind, the largest first.
pub(super) fn sums(rows: &[MemoryRow]) -> Vec<(&'static str, i64)> {
    let mut sums: BTreeMap<&'static str, i64> = BTreeMap::new();
    for row in rows {
        *sums.entry(row.kind).or_default() += row.rss;
    }
    let mut sums: Vec<_> = sums.into_iter().collect();
    sums.sort_by_key(|(_, rss)| std::cmp::Reverse(*rss));
    sums
}

/// The largest first; small ones of a kind are one row.
pub(super) fn shown(rows: Vec<MemoryRow>, all: bool) -> Vec<MemoryRow> {
    let rss: i64 = rows.iter().map(|row| row.rss).sum();
    let is_small = |row: &MemoryRow| {
        !all && row.rss < rss / SMALL_PART
            && row.reserved().is_none()
            && matches!(row.kind, VARIABLE | PACKAGE | HISTORY)
    };
    let (small, mut shown): (Vec<_>, Vec<_>) = rows.into_iter().partition(is_small);
    for (kind, word) in [
        (VARIABLE, "variables"),
        (PACKAGE, "packages"),
        (HISTORY, "entries of the history"),
    ] {
        let of_kind: Vec<&MemoryRow> = small.iter().filter(|row| row.kind == kind).collect();
        if !of_kind.is_empty() {
            shown.push(MemoryRow {
                what: format!("{} small {word}", of_kind.len()),
                kind,
                rss: of_kind.iter().map(|row| row.rss).sum(),
                size: of_kind.iter().map(|row| row.size).sum(),
                objects: of_kind.iter().map(|row| row.objects).sum(),
                ..MemoryRow::default()
            });
        }
    }
    for row in &mut shown {
        let share = row.rss as f64 * 1000.0 / rss.max(1) as f64;
        row.share = Some(share.round() / 10.0);
    }
    shown.sort_by_key(|row| std::cmp::Reverse(row.rss));
    shown
}

/// The same where not all objects were looked at: what is known of packages and the rest depends on which ones were, so
/// that these are one row.
pub(super) fn undivided(changes: Vec<MemoryRow>) -> Vec<MemoryRow> {
    let (known, unknown): (Vec<MemoryRow>, Vec<MemoryRow>) = changes
        .into_iter()
        .partition(|row| !matches!(row.kind, PACKAGE | CODE | KERNEL | UNKNOWN));
    let sum = |of: fn(&MemoryRow) -> i64| unknown.iter().map(of).sum::<i64>();
    let rest = MemoryRow {
        what: "packages and the rest".into(),
        kind: UNKNOWN,
        rss: sum(|row| row.rss),
        rss_before: Some(sum(|row| row.rss_before.unwrap_or(0))),
        change: Some(sum(|row| row.change.unwrap_or(0))),
        ..MemoryRow::default()
    };
    let mut all: Vec<MemoryRow> = known.into_iter().chain([rest]).collect();
    all.sort_by_key(|row| std::cmp::Reverse(row.size_of_change()));
    all
}

/// What is different, the largest change first.
pub(super) fn changes(before: &[MemoryRow], after: &[MemoryRow], all: bool) -> Vec<MemoryRow> {
    let key = |row: &MemoryRow| (row.kind, row.what.clone());
    let mut earlier: BTreeMap<_, &MemoryRow> = before.iter().map(|row| (key(row), row)).collect();
    let mut changes = Vec::new();
    let mut reserved: Vec<String> = Vec::new();
    for row in after {
        let former = earlier.remove(&key(row));
        let was = former.map_or(0, |row| row.rss);
        if row.reserved().is_some() && former.is_none_or(|former| former.size != row.size) {
            reserved.push(row.what.clone());
        }
        changes.push(MemoryRow {
            rss_before: Some(was),
            change: Some(row.rss - was),
            ..row.clone()
        });
    }
    changes.extend(earlier.into_values().map(|row| MemoryRow {
        rss: 0,
        rss_before: Some(row.rss),
        change: Some(-row.rss),
        ..row.clone()
    }));
    let is_small = |row: &MemoryRow| row.size_of_change() < SMALL_CHANGE;
    changes.retain(|row| all || !is_small(row) || reserved.contains(&row.what));
    changes.sort_by_key(|row| std::cmp::Reverse(row.size_of_change()));
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_looked_at_is_not_divided() {
        let row = |what: &str, kind, change| MemoryRow {
            what: what.into(),
            kind,
            rss: 100 + change,
            rss_before: Some(100),
            change: Some(change),
            ..MemoryRow::default()
        };
        let rows = vec![
            row("pandas", PACKAGE, -40),
            row("numbers", VARIABLE, 70),
            row("the rest", UNKNOWN, 50),
        ];
        let found = undivided(rows);
        let told: Vec<_> = found
            .iter()
            .map(|row| (row.what.as_str(), row.change))
            .collect();
        assert_eq!(
            told,
            [("numbers", Some(70)), ("packages and the rest", Some(10))]
        );
        assert_eq!((found[1].rss, found[1].rss_before), (210, Some(200)));
    }
}
