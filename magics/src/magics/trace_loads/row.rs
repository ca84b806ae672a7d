//! A library, or a file that was tried, as a row.

use serde::Serialize;

use super::opens::{OpenAttempt, Source};
use crate::libraries::names::file_name;
use crate::magics::trace_loads::snapshot::LoadsSnapshot;
use diaphane_report::Address;

/// A library, or a call that loaded none.
#[derive(Serialize)]
pub(super) struct Library {
    t_ns: Option<u64>,
    event: &'static str,
    name: String,
    path: Option<String>,
    package: Option<String>,
    package_version: Option<String>,
    requester: Option<String>,
    needed_by: Option<String>,
    line: Option<String>,
    /// The lazy import whose name the line used.
    lazy: Option<String>,
    chain: Vec<String>,
    why: Option<String>,
    missed: Option<usize>,
    missed_files: Vec<String>,
    search_ns: Option<u64>,
    map_ns: Option<u64>,
    bind_ns: Option<u64>,
    init_ns: Option<u64>,
    total_ns: Option<u64>,
    dur_ns: Option<u64>,
    bytes: Option<usize>,
    base: Option<Address>,
    tid: Option<i32>,
    result: Option<&'static str>,
    source: &'static str,
}

/// The libraries in their order, and the calls that loaded nothing.
pub(super) fn libraries(
    snapshot: &LoadsSnapshot,
    opens: &[OpenAttempt],
    only_failed: bool,
    by_time: bool,
) -> Vec<Library> {
    let all = (0..snapshot.timeline.loaded.len()).map(|index| library(snapshot, index, opens));
    let loaded = all.filter(|row| !only_failed || row.result.is_some());
    let failed = snapshot
        .failed_calls()
        .filter(|call| call.total_ns.is_none() && !call.failed);
    let failed = failed.map(|call| {
        let path = call.path.clone().unwrap_or_default();
        Library {
            t_ns: Some(call.at),
            event: "dlopen",
            name: file_name(&path).to_owned(),
            requester: snapshot.caller(call),
            line: snapshot.request(call).and_then(line),
            lazy: snapshot.request(call).and_then(|load| load.lazy.clone()),
            tid: Some(call.tid),
            result: Some("not loaded"),
            ..empty(path)
        }
    });
    let mut rows: Vec<Library> = loaded.chain(failed).collect();
    if by_time {
        rows.sort_by_key(|row| std::cmp::Reverse(row.dur_ns.max(row.init_ns)));
    } else {
        rows.sort_by_key(|row| row.t_ns);
    }
    rows
}

fn empty(path: String) -> Library {
    Library {
        t_ns: None,
        event: "map",
        name: String::new(),
        path: Some(path),
        package: None,
        package_version: None,
        requester: None,
        needed_by: None,
        line: None,
        lazy: None,
        chain: Vec::new(),
        why: None,
        missed: None,
        missed_files: Vec::new(),
        search_ns: None,
        map_ns: None,
        bind_ns: None,
        init_ns: None,
        total_ns: None,
        dur_ns: None,
        bytes: None,
        base: None,
        tid: None,
        result: None,
        source: "hook",
    }
}

fn library(snapshot: &LoadsSnapshot, index: usize, opens: &[OpenAttempt]) -> Library {
    let one = &snapshot.timeline.loaded[index];
    let item = snapshot.item(index);
    let call = snapshot.call(one);
    let own = call.filter(|_| one.is_first);
    let request = call.and_then(|call| snapshot.request(call));
    let missed_files = snapshot.missed(index);
    let facts = item.map(|item| &item.facts);
    let path = facts.and_then(|facts| facts.path.clone());
    let took = opens.iter().filter(|open| open.library == Some(index));
    let took: u64 = took.filter_map(|open| open.took_ns).sum();
    Library {
        t_ns: call.map(|_| one.at),
        name: file_name(&one.path).to_owned(),
        package: item.and_then(|item| Some(item.fixed.package.as_ref()?.name.clone())),
        package_version: item.and_then(|item| item.fixed.package_version.clone()),
        requester: snapshot.cause(index),
        needed_by: snapshot.parent(index),
        line: request.and_then(line),
        lazy: request.and_then(|load| load.lazy.clone()),
        chain: request.map(|load| load.chain.clone()).unwrap_or_default(),
        why: snapshot.rule(index),
        missed: Some(missed_files.len()).filter(|count| *count > 0),
        missed_files,
        search_ns: own.and_then(|call| call.search_ns),
        map_ns: own.and_then(|call| call.map_ns),
        bind_ns: own.and_then(|call| call.bind_ns),
        init_ns: one.init_ns,
        total_ns: own.and_then(|call| call.total_ns),
        dur_ns: own
            .and_then(|call| call.total_ns)
            .or(one.init_ns)
            .or(Some(took).filter(|took| *took > 0)),
        bytes: facts.map(|facts| facts.size()),
        base: facts.map(|facts| Address(facts.span.start)),
        tid: call.map(|call| call.tid),
        result: match (one.gone_at, call.is_some_and(|call| call.failed)) {
            (Some(_), true) => Some("failed"),
            (Some(_), false) => Some("unloaded"),
            (None, _) => None,
        },
        source: if call.is_some() { "hook" } else { "list" },
        ..empty(path.unwrap_or_else(|| one.path.clone()))
    }
}

/// The user's line behind a request.
fn line(load: &crate::session::import_audit::Load) -> Option<String> {
    let (file, number) = load.line.as_ref()?;
    Some(match load.line_cell {
        Some(cell) if load.chain.is_empty() || is_of_cell(file) => format!("In[{cell}]:{number}"),
        _ => format!("{}:{number}", file_name(file)),
    })
}

/// IPython compiles cells under names of files that are not there, or are in a folder of its own.
fn is_of_cell(file: &str) -> bool {
    file.starts_with('<') || file.contains("ipykernel") || !std::path::Path::new(file).exists()
}

/// A file that was tried.
#[derive(Serialize)]
pub(super) struct OpenRow {
    t_ns: Option<u64>,
    event: &'static str,
    path: String,
    why: Option<String>,
    requester: Option<String>,
    result: String,
    fd: Option<i32>,
    dur_ns: Option<u64>,
    source: &'static str,
}

/// The files that were tried.
pub(super) fn files(
    snapshot: &LoadsSnapshot,
    opens: &[OpenAttempt],
    only_failed: bool,
) -> Vec<OpenRow> {
    let wanted = opens.iter().filter(|open| !only_failed || open.failed);
    let row = |open: &OpenAttempt| OpenRow {
        t_ns: open.at,
        event: "open",
        path: open.path.clone(),
        why: open
            .library
            .filter(|_| !open.failed)
            .and_then(|index| snapshot.rule(index)),
        requester: match open.library {
            Some(index) => Some(file_name(&snapshot.timeline.loaded[index].path).to_owned()),
            None => open.by_linker.then(|| "the dynamic linker".to_owned()),
        },
        result: open.word(),
        fd: open.result.filter(|result| *result >= 0),
        dur_ns: open.took_ns,
        source: match open.source {
            Source::Syscall => "syscall",
            Source::Inferred => "inferred",
        },
    };
    wanted.map(row).collect()
}
