//! What follows from where the linker looked: files that it passed over, although the one who asked had meant them.

use std::path::PathBuf;

use diaphane_sight::code::file;
use diaphane_sight::linker::search;
use diaphane_sight::linker::search::{Rule, Rules};

use crate::libraries::inventory::{LibraryEntry, newest, numbers};
use diaphane_report::{Diagnosis, Severity};

const CPP: &str = "libstdc++.so.6";
const FAMILY: &str = "GLIBCXX_";

/// Libraries of `LD_LIBRARY_PATH` that took the place of those beside the one who asked.
pub(super) fn displaced(listed: &[&LibraryEntry], items: &[LibraryEntry]) -> Option<Diagnosis> {
    let from_environment = listed
        .iter()
        .filter(|item| item.rule == Some(Rule::LibraryPath));
    let mut rules = None;
    let mut evidence = Vec::new();
    for item in from_environment {
        let Some(requester) = item.requester else {
            continue;
        };
        let rules = rules.get_or_insert_with(Rules::read);
        let own = item
            .facts
            .image
            .soname
            .as_deref()
            .unwrap_or(&item.facts.name);
        if let Some(meant) = own_copy(own, item, requester, items, rules) {
            let requester = &items[requester].facts.name;
            evidence.push(format!(
                "{}: {requester} brings {}",
                item.path(),
                meant.display()
            ));
        }
    }
    (!evidence.is_empty()).then(|| Diagnosis {
        code: "L005",
        severity: Severity::Warn,
        title: "LD_LIBRARY_PATH put a library in the place of one that its user brings along.".into(),
        fix: "Start the kernel without that folder in LD_LIBRARY_PATH, unless you mean to replace it.".into(),
        evidence,
    })
}

/// C++ code whose own search path leads to a newer runtime than the one that was loaded before.
pub(super) fn older_cpp(listed: &[&LibraryEntry], items: &[LibraryEntry]) -> Option<Diagnosis> {
    let loaded = items
        .iter()
        .find(|item| item.facts.image.soname.as_deref() == Some(CPP))?;
    let provided = newest(&loaded.facts.image.versions, FAMILY)?;
    let mut rules = None;
    let mut evidence = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let image = &item.facts.image;
        let asks = image.needed.iter().any(|name| name == CPP)
            && (image.rpath.is_some() || image.runpath.is_some());
        if !asks || !listed.iter().any(|one| std::ptr::eq(*one, item)) {
            continue;
        }
        let rules = rules.get_or_insert_with(Rules::read);
        let Some(meant) = own_copy(CPP, loaded, index, items, rules) else {
            continue;
        };
        let facts = file::facts(&meant).unwrap_or_default();
        let number = |version: &str| numbers(version.trim_start_matches(FAMILY));
        if let Some(newer) =
            newest(&facts.versions, FAMILY).filter(|own| number(own) > number(&provided))
        {
            evidence.push(format!(
                "{} brings {} with {newer}",
                item.path(),
                meant.display()
            ));
        }
    }
    let fix = format!(
        "{} was loaded first and serves all; import the one with the newer libstdc++ first, or start the kernel with LD_PRELOAD set to the newer file.",
        loaded.path()
    );
    (!evidence.is_empty()).then(|| Diagnosis {
        code: "L009",
        severity: Severity::Warn,
        title: format!(
            "C++ code runs with an older libstdc++ ({provided}) than the one that it brings along."
        ),
        evidence,
        fix,
    })
}

/// The file that a requester's own search path leads to, if it is another one than what was loaded.
fn own_copy(
    name: &str,
    loaded: &LibraryEntry,
    requester: usize,
    items: &[LibraryEntry],
    rules: &Rules,
) -> Option<PathBuf> {
    let up = std::iter::successors(Some(requester), |&index| items[index].requester);
    let chain: Vec<_> = up
        .map(|index| search::Requester::of(&items[index].facts))
        .collect();
    let attempts = rules.attempts(name, &chain).into_iter();
    let mut own = attempts
        .filter(|attempt| matches!(attempt.rule, Rule::Rpath(_) | Rule::Runpath(_)))
        .map(|attempt| attempt.path);
    own.find(|path| path.exists())
        .filter(|path| !search::is_same(path, &loaded.facts))
}
