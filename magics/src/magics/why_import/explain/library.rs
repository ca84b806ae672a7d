//! A library that the linker did not find: who needs it, where it was looked for, and where it is.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use diaphane_sight::code::file;
use diaphane_sight::code::file::Class;
use diaphane_sight::linker::search::{Attempt, Requester, Rules};

use super::{Candidate, Explanation, ImportSnapshot, Tried, shown};
use crate::libraries::inventory::LibraryEntry;
use crate::libraries::names::file_name;
use crate::magics::why_import::exception::Cause;
use crate::session::import_audit;

/// So many files are walked through in search of the one that needs a library.
const MOST_FILES: usize = 500;

pub(super) fn library(cause: &Cause, snapshot: &ImportSnapshot, told: &mut Explanation) {
    let wanted = cause.failure.file.as_str();
    if wanted.contains('/') {
        return unreadable(wanted, told);
    }
    let rules = Rules::read();
    // What was asked for by its path is in the exception, or was the last thing that ctypes was asked for.
    let root = cause.path.clone().or_else(import_audit::latest_of_ctypes);
    let found = root.and_then(|root| requester(Path::new(&root), wanted, &rules));
    let (requester, tried) = match found {
        Some((requester, tried)) => (Some(requester), tried),
        None => (None, rules.attempts(wanted, &callers(snapshot))),
    };
    told.required_by = requester.as_deref().map(shown);
    told.tried = tried
        .iter()
        .map(|attempt| Tried {
            path: shown(&attempt.path),
            rule: attempt.rule.to_string(),
        })
        .collect();
    let like = snapshot.places.like(wanted, &rules);
    let is_exact = |path: &PathBuf| path.file_name().is_some_and(|name| name == wanted);
    told.candidates = like
        .iter()
        .map(|path| Candidate {
            path: shown(path),
            provides: file::facts(path)
                .and_then(|facts| facts.soname)
                .map(|soname| format!("soname {soname}")),
            would_do: is_exact(path) && file::class(path) == Class::of_this_process(),
        })
        .collect();
    let who = told.required_by.as_deref().map_or_else(
        || "it was asked for by that name".to_owned(),
        |by| format!("{} needs it", file_name(by)),
    );
    told.reason = format!(
        "{wanted} is in none of the {} places where the linker looks; {who}.",
        tried.len()
    );
    let changed = snapshot.changes.contains_key("LD_LIBRARY_PATH");
    let exact = told.candidates.iter().find(|candidate| candidate.would_do);
    told.fix = match (exact, told.candidates.first()) {
        (Some(file), _) => format!(
            "{} has it: load it first with ctypes.CDLL({:?}), or start the kernel with its folder in LD_LIBRARY_PATH.{}",
            file.path,
            file.path,
            if changed {
                " A change of LD_LIBRARY_PATH while the kernel runs has no effect."
            } else {
                ""
            },
        ),
        (None, Some(other)) => format!(
            "only another version is here ({}): install the package that has {wanted}, or a build of the module for the version that is here.",
            file_name(&other.path),
        ),
        (None, None) => {
            format!("no file of that name was found: install the package that has {wanted}.")
        }
    };
}

/// Whose search paths hold for a name that Python code gave: the module's that calls the linker, and the program's.
fn callers(snapshot: &ImportSnapshot) -> Vec<Requester> {
    let of = |item: &LibraryEntry| Requester::of(&item.facts);
    let mut items = snapshot.items.iter();
    let program = items.next().map(of);
    let ctypes = items.find(|item| item.facts.name.starts_with("_ctypes."));
    let ctypes = ctypes.map(of).unwrap_or_default();
    std::iter::once(ctypes).chain(program).collect()
}

/// A path was given and could not be opened.
fn unreadable(path: &str, told: &mut Explanation) {
    let about = fs::metadata(path);
    told.reason = match &about {
        Err(error) => format!("{path} cannot be opened: {error}."),
        Ok(_) => match file::class(Path::new(path)).zip(Class::of_this_process()) {
            Some((own, needed)) if own != needed => {
                format!("{path} is for {own}, and this process is for {needed}.")
            }
            _ => format!("{path} is there, but may not be opened and run by this user."),
        },
    };
    told.fix = match about {
        Err(_) => {
            "check the path; a relative one counts from the kernel's working directory.".into()
        }
        Ok(_) => "use a build for this machine, and check the file's permissions.".into(),
    };
}

/// The file that needs a library, beginning with the one that was asked for and walking through what each one needs.
fn requester(root: &Path, wanted: &str, rules: &Rules) -> Option<(PathBuf, Vec<Attempt>)> {
    let mut open: Vec<(PathBuf, Vec<Requester>)> = vec![(root.to_owned(), Vec::new())];
    let mut seen = HashSet::new();
    while let Some((path, above)) = open.pop() {
        if seen.len() > MOST_FILES || !seen.insert(path.clone()) {
            continue;
        }
        let Some(facts) = file::facts(&path) else {
            continue;
        };
        let own = Requester {
            name: file_name(&shown(&path)).to_owned(),
            folder: path.parent().unwrap_or(Path::new("")).to_owned(),
            rpath: facts.rpath,
            runpath: facts.runpath,
        };
        let chain: Vec<Requester> = std::iter::once(own).chain(above).collect();
        if facts.needed.iter().any(|name| name == wanted) {
            return Some((path, rules.attempts(wanted, &chain)));
        }
        for name in &facts.needed {
            let mut attempts = rules.attempts(name, &chain).into_iter();
            let found = attempts.find(|attempt| attempt.path.is_file());
            open.extend(found.map(|attempt| (attempt.path, chain.clone())));
        }
    }
    None
}
