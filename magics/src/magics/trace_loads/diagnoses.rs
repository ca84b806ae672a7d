//! What is remarkable about loads.

use std::collections::HashMap;

use diaphane_sight::proc::mounts;
use diaphane_sight::proc::mounts::Mount;

use super::opens::{OpenAttempt, Source};
use crate::libraries::names::file_name;
use crate::magics::trace_loads::snapshot::LoadsSnapshot;
use diaphane_report::view::time;
use diaphane_report::{Diagnosis, Severity};

/// From so many files that were looked for in vain it is worth a line.
const MANY: usize = 100;
/// And from so many it costs.
const TOO_MANY: usize = 1000;
/// An initialiser that takes less is no matter.
const LONG_NS: u64 = 100_000_000;

/// All of it.
pub(super) fn all(snapshot: &LoadsSnapshot, opens: &[OpenAttempt]) -> Vec<Diagnosis> {
    [misses(opens), slow_initialiser(snapshot), far(opens)]
        .into_iter()
        .flatten()
        .collect()
}

/// The linker looked in many places where nothing was.
fn misses(opens: &[OpenAttempt]) -> Option<Diagnosis> {
    let of_linker: Vec<&OpenAttempt> = opens.iter().filter(|open| open.by_linker).collect();
    let failed: Vec<&&OpenAttempt> = of_linker.iter().filter(|open| open.failed).collect();
    if failed.len() < MANY {
        return None;
    }
    let mut folders: HashMap<&str, usize> = HashMap::new();
    for open in &failed {
        let folder = open.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        *folders.entry(folder).or_default() += 1;
    }
    let mut folders: Vec<(&str, usize)> = folders.into_iter().collect();
    folders.sort_by_key(|&(folder, count)| (std::cmp::Reverse(count), folder.to_owned()));
    let how = match failed[0].source {
        Source::Syscall => "",
        Source::Inferred => " by its rules",
    };
    let shown = folders
        .iter()
        .take(4)
        .map(|(folder, count)| format!("{count} in {folder}"));
    Some(Diagnosis {
        code: "S001",
        severity: if failed.len() < TOO_MANY {
            Severity::Info
        } else {
            Severity::Warn
        },
        title: format!(
            "{} of the dynamic linker's {} opens failed{how}, in {} folders.",
            failed.len(),
            of_linker.len(),
            folders.len()
        ),
        evidence: shown.collect(),
        fix: "Take folders that hold none of these libraries out of LD_LIBRARY_PATH or RPATH."
            .into(),
    })
}

/// Files that lie, or were looked for, where an access may wait for a network or a program.
fn far(opens: &[OpenAttempt]) -> Option<Diagnosis> {
    let all = mounts::mounts();
    let mut places: Vec<(&Mount, usize, usize)> = Vec::new();
    let is_code = |open: &&OpenAttempt| open.by_linker || is_module(&open.path);
    for open in opens.iter().filter(is_code) {
        let path = std::path::absolute(&open.path).unwrap_or_else(|_| (&open.path).into());
        let Some(mount) = mounts::of(&path, &all).filter(|mount| mount.is_far()) else {
            continue;
        };
        let known = places.iter().position(|(other, ..)| *other == mount);
        let at = known.unwrap_or_else(|| {
            places.push((mount, 0, 0));
            places.len() - 1
        });
        places[at].1 += 1;
        places[at].2 += usize::from(open.failed);
    }
    let opened: usize = places.iter().map(|(_, opened, _)| opened).sum();
    let (first, ..) = places.first()?;
    let shown = places.iter().map(|(mount, opened, failed)| {
        format!(
            "{opened} opens on {} ({}), {failed} of them failed",
            mount.point.display(),
            mount.kind
        )
    });
    Some(Diagnosis {
        code: "S003",
        severity: Severity::Info,
        title: format!(
            "{opened} opens of libraries and modules went to a network or FUSE file system, {} at {}.",
            first.kind,
            first.point.display()
        ),
        evidence: shown.collect(),
        fix: "Keep the environment on a local disk, and take such folders out of LD_LIBRARY_PATH and sys.path.".into(),
    })
}

/// What imports of Python code open.
fn is_module(path: &str) -> bool {
    path.ends_with(".py") || path.ends_with(".pyc")
}

/// One library's own start took most of the cell.
fn slow_initialiser(snapshot: &LoadsSnapshot) -> Option<Diagnosis> {
    let timed = snapshot
        .timeline
        .loaded
        .iter()
        .filter(|one| one.init_ns.is_some());
    // What an initialiser loads is part of it, so the innermost of those that take as long is meant.
    let slow = timed.rev().max_by_key(|one| one.init_ns)?;
    let took = slow.init_ns?;
    if took < LONG_NS || 2 * took < snapshot.elapsed_ns {
        return None;
    }
    let index = snapshot
        .timeline
        .loaded
        .iter()
        .position(|one| std::ptr::eq(one, slow))?;
    Some(Diagnosis {
        code: "S002",
        severity: Severity::Warn,
        title: format!(
            "The initialisers of {} took {} of {}.",
            file_name(&slow.path),
            time(took as f64),
            time(snapshot.elapsed_ns as f64)
        ),
        evidence: [Some(slow.path.clone()), snapshot.cause(index)]
            .into_iter()
            .flatten()
            .collect(),
        fix:
            "Import it only where it is needed, or ask its authors to do this work at the first use."
                .into(),
    })
}
