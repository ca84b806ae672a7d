//! Who caused what, as a tree: the modules of an import, the libraries below them, and what those needed.

use serde::Serialize;

use crate::libraries::names::file_name;
use crate::magics::trace_loads::snapshot::LoadsSnapshot;

/// One line of the tree. Each comes behind the one that it is below.
#[derive(Serialize)]
pub(super) struct LoadRow {
    id: usize,
    parent: Option<usize>,
    event: &'static str,
    name: String,
    path: Option<String>,
    /// The whole call for a library that was asked for, the initialisers for one that was needed, and the sum of what is
    /// below for an import.
    took_ns: Option<u64>,
    init_ns: Option<u64>,
    bytes: Option<usize>,
    missed: Option<usize>,
    why: Option<String>,
    result: Option<&'static str>,
}

/// The lines of all loads.
pub(super) fn tree(snapshot: &LoadsSnapshot) -> Vec<LoadRow> {
    let mut lines: Vec<LoadRow> = Vec::new();
    for (index, one) in snapshot.timeline.loaded.iter().enumerate() {
        if one.is_first || snapshot.call(one).is_none() {
            let above = above(snapshot, index, &mut lines);
            library(snapshot, index, above, &mut lines);
        }
    }
    // Parents come first, so that going backwards adds up everything below an import.
    for id in (0..lines.len()).rev() {
        let (Some(parent), took) = (lines[id].parent, lines[id].took_ns) else {
            continue;
        };
        if lines[parent].event == "import" {
            let sum = &mut lines[parent].took_ns;
            *sum = sum
                .zip(took)
                .map(|(sum, took)| sum + took)
                .or(took)
                .or(*sum);
        }
    }
    lines
}

/// The line of the module or call that asked, below those that led there; made where it is not there yet.
fn above(snapshot: &LoadsSnapshot, index: usize, lines: &mut Vec<LoadRow>) -> Option<usize> {
    let one = &snapshot.timeline.loaded[index];
    let request = snapshot.call(one).and_then(|call| snapshot.request(call));
    let modules = request
        .map(|load| load.chain.as_slice())
        .unwrap_or_default();
    let mut way: Vec<String> = modules
        .iter()
        .map(|module| format!("import {module}"))
        .collect();
    let cause = snapshot.cause(index).unwrap_or_else(|| "not known".into());
    if way.last() != Some(&cause) {
        way.push(cause);
    }
    let mut parent = None;
    for name in way {
        let is_it = |line: &LoadRow| line.parent == parent && line.name == name;
        let known = lines.iter().position(is_it);
        parent = Some(known.unwrap_or_else(|| {
            lines.push(LoadRow::new(lines.len(), parent, name));
            lines.len() - 1
        }));
    }
    parent
}

/// The line of a library, and those of the libraries that it needed.
fn library(
    snapshot: &LoadsSnapshot,
    index: usize,
    parent: Option<usize>,
    lines: &mut Vec<LoadRow>,
) {
    let one = &snapshot.timeline.loaded[index];
    let name = file_name(&one.path);
    let id = lines.len();
    let call = snapshot.call(one).filter(|_| one.is_first);
    lines.push(LoadRow {
        event: "map",
        path: Some(one.path.clone()),
        took_ns: call.and_then(|call| call.total_ns).or(one.init_ns),
        init_ns: one.init_ns,
        bytes: snapshot.bytes(one),
        missed: Some(snapshot.missed(index).len()).filter(|count| *count > 0),
        why: snapshot.rule(index),
        result: one.gone_at.map(|_| "unloaded"),
        ..LoadRow::new(id, parent, name.to_owned())
    });
    for (other, loaded) in snapshot.timeline.loaded.iter().enumerate().skip(index + 1) {
        if loaded.call == one.call && snapshot.parent(other).as_deref() == Some(name) {
            library(snapshot, other, Some(id), lines);
        }
    }
}

impl LoadRow {
    fn new(id: usize, parent: Option<usize>, name: String) -> Self {
        Self {
            id,
            parent,
            event: "import",
            name,
            path: None,
            took_ns: None,
            init_ns: None,
            bytes: None,
            missed: None,
            why: None,
            result: None,
        }
    }
}
