//! The rows of `%%syscalls`: each call, or calls that are alike.

use std::collections::HashMap;

use serde::Serialize;

use super::By;
use super::callers::Maker;
use super::decode::{arguments_of, error_name, name_of, result};
use crate::magics::syscalls::snapshot::{SeenCall, path_of};

/// One call.
#[derive(Serialize)]
pub(super) struct Each {
    index: usize,
    began_ns: u64,
    tid: i32,
    call: String,
    arguments: String,
    result: String,
    error: Option<String>,
    took_ns: Option<u64>,
    library: Option<String>,
    function: Option<String>,
    place: Option<String>,
    python: Option<String>,
}

/// Calls that are alike in what the user asked to group by.
#[derive(Serialize)]
pub(super) struct CallGroup {
    #[serde(flatten)]
    key: GroupKey,
    calls: usize,
    errors: usize,
    error_names: Vec<String>,
    total_ns: Option<u64>,
    mean_ns: Option<u64>,
    max_ns: Option<u64>,
}

/// Each call as a row.
pub(super) fn each(seen: &[SeenCall<'_>]) -> Vec<Each> {
    let row = |seen: &SeenCall<'_>| {
        let Maker {
            library, function, ..
        } = (*seen.maker).clone();
        Each {
            index: seen.index,
            began_ns: seen.call.began_ns,
            tid: seen.call.tid,
            call: name_of(seen.call),
            arguments: arguments_of(seen.call),
            result: result(seen.call),
            error: error_name(seen.call),
            took_ns: seen.call.took_ns,
            library,
            function,
            place: seen.place.clone(),
            python: seen.python.clone(),
        }
    };
    seen.iter().map(row).collect()
}

/// What makes calls alike; each part only where it counts.
#[derive(Default, PartialEq, Eq, Hash, Serialize)]
struct GroupKey {
    call: Option<String>,
    library: Option<String>,
    place: Option<String>,
    path: Option<String>,
    python: Option<String>,
    tid: Option<i32>,
}

impl GroupKey {
    fn of(by: By, seen: &SeenCall<'_>) -> Self {
        let mut key = Self::default();
        let library = || seen.maker.library.clone();
        match by {
            By::Call => (key.call, key.library) = (Some(name_of(seen.call)), library()),
            By::Library => key.library = library(),
            By::Line => key.place.clone_from(&seen.place),
            By::Function => key.python.clone_from(&seen.python),
            By::Path => key.path = path_of(seen.call),
            By::Thread => key.tid = Some(seen.call.tid),
        }
        key
    }
}

/// Calls that are alike, the most time first; those of the kernel are no one's of the cell.
pub(super) fn grouped(by: By, seen: &[SeenCall<'_>]) -> Vec<CallGroup> {
    let mut groups: HashMap<GroupKey, Vec<&SeenCall<'_>>> = HashMap::new();
    for one in seen
        .iter()
        .filter(|one| !one.maker.is_kernel && (by != By::Path || path_of(one.call).is_some()))
    {
        groups.entry(GroupKey::of(by, one)).or_default().push(one);
    }
    let mut rows: Vec<CallGroup> = groups
        .into_iter()
        .map(|(key, calls)| alike(by, key, &calls))
        .collect();
    rows.sort_by(|left, right| {
        let order = |row: &CallGroup| {
            (
                std::cmp::Reverse((row.total_ns, row.calls)),
                row.key.call.clone(),
            )
        };
        order(left).cmp(&order(right))
    });
    rows
}

fn alike(by: By, mut key: GroupKey, calls: &[&SeenCall<'_>]) -> CallGroup {
    let times: Vec<u64> = calls.iter().filter_map(|one| one.call.took_ns).collect();
    let total: u64 = times.iter().sum();
    let mut errors: Vec<String> = calls
        .iter()
        .filter_map(|one| error_name(one.call))
        .collect();
    let count = errors.len();
    errors.sort_unstable();
    errors.dedup();
    // Where it is not what groups, the line that made most of them says something still.
    if by != By::Line {
        key.place = most(calls.iter().filter_map(|one| one.place.clone()));
    }
    CallGroup {
        key,
        calls: calls.len(),
        errors: count,
        error_names: errors,
        total_ns: (!times.is_empty()).then_some(total),
        mean_ns: total.checked_div(times.len() as u64),
        max_ns: times.iter().copied().max(),
    }
}

/// What stands there most often.
fn most(items: impl Iterator<Item = String>) -> Option<String> {
    let mut counts: HashMap<String, usize> = HashMap::new();
    for item in items {
        *counts.entry(item).or_default() += 1;
    }
    let most = counts.into_iter();
    let most = most.max_by(|left, right| (left.1, &right.0).cmp(&(right.1, &left.0)));
    most.map(|(item, _)| item)
}
