//! A library, or a file that was tried, as a row.

use serde::Serialize;

use super::opens::{Open, Source};
use crate::magics::trace_loads::snapshot::{Scene, name_of};
use diaphane_report::{Address, Column, Show};

pub(super) const COLUMNS: &[Column] = &[
    Column::new("t_ns", Show::Time, 3).titled("at"),
    Column::new("name", Show::Text, 0).at_least(20),
    Column::new("requester", Show::Text, 1)
        .titled("caused by")
        .at_least(20),
    Column::new("why", Show::Text, 5).titled("found by"),
    Column::new("missed", Show::Number, 6).optional(),
    Column::new("total_ns", Show::Time, 4)
        .titled("call")
        .optional(),
    Column::new("init_ns", Show::Time, 2)
        .titled("init")
        .optional(),
    Column::new("bytes", Show::Bytes, 3),
    Column::new("result", Show::Text, 4).at_least(8).optional(),
    Column::new("package", Show::Text, 7)
        .with("package_version")
        .optional(),
    Column::new("line", Show::Text, 8).optional(),
    Column::new("lazy", Show::Text, 9)
        .titled("lazy import")
        .optional(),
    Column::new("search_ns", Show::Time, 9)
        .titled("search")
        .optional(),
    Column::new("map_ns", Show::Time, 9)
        .titled("map")
        .optional(),
    Column::new("bind_ns", Show::Time, 9)
        .titled("bind")
        .optional(),
    Column::new("base", Show::Address, 11),
    Column::new("path", Show::Path, 10),
];

pub(super) const FILE_COLUMNS: &[Column] = &[
    Column::new("t_ns", Show::Time, 3).titled("at"),
    Column::new("path", Show::Path, 0),
    Column::new("result", Show::Text, 1),
    Column::new("dur_ns", Show::Time, 4)
        .titled("took")
        .optional(),
    Column::new("requester", Show::Text, 2)
        .titled("for")
        .at_least(16),
    Column::new("source", Show::Text, 5),
];

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
    scene: &Scene,
    opens: &[Open],
    only_failed: bool,
    by_time: bool,
) -> Vec<Library> {
    let all = (0..scene.story.loaded.len()).map(|index| library(scene, index, opens));
    let loaded = all.filter(|row| !only_failed || row.result.is_some());
    let failed = scene
        .failed_calls()
        .filter(|call| call.total_ns.is_none() && !call.failed);
    let failed = failed.map(|call| {
        let path = call.path.clone().unwrap_or_default();
        Library {
            t_ns: Some(call.at),
            event: "dlopen",
            name: name_of(&path).to_owned(),
            requester: scene.caller(call),
            line: scene.request(call).and_then(line),
            lazy: scene.request(call).and_then(|load| load.lazy.clone()),
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

fn library(scene: &Scene, index: usize, opens: &[Open]) -> Library {
    let one = &scene.story.loaded[index];
    let item = scene.item(index);
    let call = scene.call(one);
    let own = call.filter(|_| one.is_first);
    let request = call.and_then(|call| scene.request(call));
    let missed_files = scene.missed(index);
    let facts = item.map(|item| &item.facts);
    let path = facts.and_then(|facts| facts.path.clone());
    let took = opens.iter().filter(|open| open.library == Some(index));
    let took: u64 = took.filter_map(|open| open.took_ns).sum();
    Library {
        t_ns: call.map(|_| one.at),
        name: name_of(&one.path).to_owned(),
        package: item.and_then(|item| Some(item.fixed.package.as_ref()?.name.clone())),
        package_version: item.and_then(|item| item.fixed.package_version.clone()),
        requester: scene.cause(index),
        needed_by: scene.parent(index),
        line: request.and_then(line),
        lazy: request.and_then(|load| load.lazy.clone()),
        chain: request.map(|load| load.chain.clone()).unwrap_or_default(),
        why: scene.rule(index),
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
    Some(match load.cell {
        Some(cell) if load.chain.is_empty() || is_of_cell(file) => format!("In[{cell}]:{number}"),
        _ => format!("{}:{number}", name_of(file)),
    })
}

/// IPython compiles cells under names of files that are not there, or are in a folder of its own.
fn is_of_cell(file: &str) -> bool {
    file.starts_with('<') || file.contains("ipykernel") || !std::path::Path::new(file).exists()
}

/// A file that was tried.
#[derive(Serialize)]
pub(super) struct File {
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
pub(super) fn files(scene: &Scene, opens: &[Open], only_failed: bool) -> Vec<File> {
    let wanted = opens.iter().filter(|open| !only_failed || open.failed);
    let row = |open: &Open| File {
        t_ns: open.at,
        event: "open",
        path: open.path.clone(),
        why: open
            .library
            .filter(|_| !open.failed)
            .and_then(|index| scene.rule(index)),
        requester: match open.library {
            Some(index) => Some(name_of(&scene.story.loaded[index].path).to_owned()),
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
