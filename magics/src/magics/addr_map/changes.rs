//! What is different from the last time.

use std::collections::HashMap;

use diaphane_forks::ProcessLock;
use serde::Serialize;

use super::regions::RegionRow;
use diaphane_report::Address;

static LAST: ProcessLock<Option<Vec<RegionRow>>> = ProcessLock::new(|| None);

/// Keeps the rows for the next time, and gives back those of the last time.
pub(super) fn replace(rows: &[RegionRow]) -> Option<Vec<RegionRow>> {
    LAST.lock().replace(rows.to_vec())
}

/// A region that is different.
#[derive(Debug, Serialize)]
pub(super) struct Change {
    change: &'static str,
    lo: Address,
    hi: Address,
    size: usize,
    size_delta: i64,
    rss: Option<u64>,
    rss_delta: Option<i64>,
    perms: String,
    kind: &'static str,
    owner: Option<String>,
    name: Option<String>,
}

/// The differences, the largest in physical memory first. A region is the same as long as it begins at the same address.
pub(super) fn between(earlier: &[RegionRow], now: &[RegionRow]) -> Vec<Change> {
    let before: HashMap<usize, &RegionRow> = earlier.iter().map(|row| (row.lo.0, row)).collect();
    let after: HashMap<usize, &RegionRow> = now.iter().map(|row| (row.lo.0, row)).collect();
    let gone = earlier.iter().filter(|row| !after.contains_key(&row.lo.0));
    let gone = gone.map(|row| change("gone", row, Some(row), None));
    let here = now.iter().filter_map(|row| match before.get(&row.lo.0) {
        None => Some(change("new", row, None, Some(row))),
        Some(old) if (old.size, old.rss, &old.perms) != (row.size, row.rss, &row.perms) => {
            Some(change("changed", row, Some(old), Some(row)))
        }
        Some(_) => None,
    });
    let mut changes: Vec<Change> = gone.chain(here).collect();
    changes
        .sort_by_key(|one| std::cmp::Reverse((one.rss_delta.map(i64::abs), one.size_delta.abs())));
    changes
}

fn change(
    word: &'static str,
    row: &RegionRow,
    old: Option<&RegionRow>,
    new: Option<&RegionRow>,
) -> Change {
    let size = |row: Option<&RegionRow>| row.map_or(0, |row| row.size as i64);
    let rss = |row: Option<&RegionRow>| row.map_or(Some(0), |row| row.rss.map(u64::cast_signed));
    Change {
        change: word,
        lo: row.lo,
        hi: row.hi,
        size: row.size,
        size_delta: size(new) - size(old),
        rss: row.rss,
        rss_delta: rss(new).zip(rss(old)).map(|(new, old)| new - old),
        perms: row.perms.clone(),
        kind: row.kind,
        owner: row.owner.clone(),
        name: row.name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(lo: usize, size: usize, rss: u64) -> RegionRow {
        RegionRow {
            lo: Address(lo),
            hi: Address(lo + size),
            size,
            rss: Some(rss),
            pss: None,
            swap: None,
            huge: None,
            perms: "rw-p".into(),
            kind: "heap",
            owner: None,
            name: None,
            arrays: vec![],
            pool: None,
        }
    }

    #[test]
    fn what_came_went_and_grew() {
        let changes = between(
            &[row(0x1000, 10, 5), row(0x2000, 10, 5), row(0x3000, 10, 5)],
            &[row(0x2000, 30, 6), row(0x3000, 10, 5), row(0x4000, 10, 9)],
        );
        let found: Vec<_> = changes
            .iter()
            .map(|one| (one.change, one.lo.0, one.size_delta, one.rss_delta))
            .collect();
        assert_eq!(
            found,
            [
                ("new", 0x4000, 10, Some(9)),
                ("gone", 0x1000, -10, Some(-5)),
                ("changed", 0x2000, 20, Some(1))
            ]
        );
    }
}
