//! From a message to its explanation: the same searches as the linker's, on the files and images that are there.

mod library;
mod shape;

use std::fs;
use std::path::Path;

use diaphane_sight::code::file;
use diaphane_sight::elf::demangle::demangle;
use diaphane_sight::linker::search::Rules;
use diaphane_sight::runtimes::families::{Family, family_of_name};
use serde::Serialize;
use serde_json::{Map, Value};

use super::exception::Cause;
use super::message::{Failure, FailureKind};
use super::places::Places;
use crate::libraries::inventory::{LibraryEntry, newest};
use crate::libraries::names::file_name;

/// What is there to look at.
pub(super) struct ImportSnapshot {
    pub items: Vec<LibraryEntry>,
    pub places: Places,
    /// Variables that were changed since the start.
    pub changes: Map<String, Value>,
    /// Python's version.
    pub python: (u8, u8),
}

/// The answer.
#[derive(Debug, Default, Serialize)]
pub(super) struct Explanation {
    missing: String,
    kind: Option<FailureKind>,
    required_by: Option<String>,
    loaded_copy: Option<String>,
    loaded_by: Option<String>,
    pub candidates: Vec<Candidate>,
    pub tried: Vec<Tried>,
    reason: String,
    fix: String,
}

/// A file that might do.
#[derive(Debug, Serialize)]
pub(super) struct Candidate {
    pub path: String,
    /// The version up to which it goes, or that it defines the symbol.
    pub provides: Option<String>,
    #[serde(skip)]
    would_do: bool,
}

/// A file that the linker looked for.
#[derive(Debug, Serialize)]
pub(super) struct Tried {
    pub path: String,
    pub rule: String,
}

impl Explanation {
    /// What is wrong and what to do, for people.
    pub fn sentences(&self) -> Vec<String> {
        vec![
            format!("Why: {}", self.reason),
            format!("Fix: {}", self.fix),
        ]
    }
}

pub(super) fn explain(cause: &Cause, snapshot: &ImportSnapshot) -> Explanation {
    let failure = &cause.failure;
    let mut told = Explanation {
        kind: Some(failure.kind),
        missing: failure.missing.clone(),
        required_by: failure.required_by.clone(),
        ..Explanation::default()
    };
    match failure.kind {
        FailureKind::Library => library::library(cause, snapshot, &mut told),
        FailureKind::Version => version(failure, snapshot, &mut told),
        FailureKind::Symbol => symbol(failure, snapshot, &mut told),
        FailureKind::StaticTls => static_tls(failure, snapshot, &mut told),
        FailureKind::Class => shape::class(failure, &mut told),
        FailureKind::NoLibrary => shape::no_library(failure, &mut told),
        FailureKind::ExecutableStack => shape::executable_stack(failure, &mut told),
        FailureKind::NoModule => shape::no_module(cause, &mut told),
    }
    told
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// The loaded library of a file or a name, and who brought it.
fn loaded<'a>(name: &str, snapshot: &'a ImportSnapshot) -> Option<&'a LibraryEntry> {
    let is_it = |item: &&LibraryEntry| {
        let facts = &item.facts;
        facts.path.as_deref() == Some(name)
            || facts.linker_name == name
            || facts.image.soname.as_deref() == Some(file_name(name))
    };
    snapshot.items.iter().find(is_it)
}

fn tell_loaded(item: Option<&LibraryEntry>, snapshot: &ImportSnapshot, told: &mut Explanation) {
    told.loaded_copy = item.map(|item| item.path().to_owned());
    told.loaded_by = item.and_then(|item| item.loaded_by(&snapshot.items));
}

/// The part of a version in front of its numbers, such as `GLIBCXX_`.
fn family(version: &str) -> &str {
    let end = version.rfind('_').map_or(0, |place| place + 1);
    &version[..end]
}

fn version(failure: &Failure, snapshot: &ImportSnapshot, told: &mut Explanation) {
    let (wanted, family) = (failure.missing.as_str(), family(&failure.missing));
    let library = file_name(&failure.file);
    let item = loaded(&failure.file, snapshot);
    tell_loaded(item, snapshot, told);
    let provides = |versions: &[String]| match versions.iter().any(|version| version == wanted) {
        true => Some(wanted.to_owned()),
        false => newest(versions, family).map(|newest| format!("up to {newest}")),
    };
    let own = file::facts(Path::new(&failure.file)).map(|facts| facts.versions);
    let own = own
        .or_else(|| item.map(|item| item.facts.image.versions.clone()))
        .unwrap_or_default();
    told.candidates = snapshot
        .places
        .like(library, &Rules::read())
        .iter()
        .filter(|path| {
            !fs::canonicalize(path)
                .is_ok_and(|path| Some(path) == fs::canonicalize(&failure.file).ok())
        })
        .filter_map(|path| Some((path, file::facts(path)?)))
        .map(|(path, facts)| Candidate {
            path: shown(path),
            provides: provides(&facts.versions),
            would_do: facts.versions.iter().any(|version| version == wanted),
        })
        .collect();
    let by = failure
        .required_by
        .as_deref()
        .map_or("a library", file_name);
    let has = provides(&own).unwrap_or_else(|| "has no versions of this kind".into());
    let first = match &told.loaded_by {
        Some(by) => format!(", which is loaded already ({by})"),
        None if item.is_some() => ", which is loaded already".into(),
        None => String::new(),
    };
    told.reason = format!(
        "{by} needs {wanted} of {library}, but {} goes {has}{first}.",
        failure.file
    );
    let better = told.candidates.iter().find(|candidate| candidate.would_do);
    told.fix = match better {
        _ if family == "GLIBC_" => "the file was built for a newer system; install a build for this one, since the C library itself cannot be exchanged.".into(),
        Some(file) => format!("{} has it: start the kernel with LD_PRELOAD={}, so that it is loaded first.", file.path, file.path),
        None => format!("no {library} with it was found: update the package that brings {library} (libstdc++: libstdcxx-ng in conda), or install a build of {by} for older systems."),
    };
}

fn symbol(failure: &Failure, snapshot: &ImportSnapshot, told: &mut Explanation) {
    let symbol = failure.missing.as_str();
    told.required_by = Some(failure.file.clone());
    let by = file_name(&failure.file);
    let facts = file::facts(Path::new(&failure.file)).unwrap_or_default();
    let defining = snapshot
        .items
        .iter()
        .filter(|item| item.facts.image.exports(symbol));
    told.candidates = defining
        .map(|item| Candidate {
            path: item.path().to_owned(),
            provides: Some("defines it, and is loaded where only its own users see it".into()),
            would_do: true,
        })
        .collect();
    let stale = facts.needed.iter().find_map(|name| {
        let item = loaded(name, snapshot)?;
        let files = snapshot.places.like(name, &Rules::read());
        let better = files.into_iter().find(|path| file::exports(path, symbol))?;
        (!item.facts.image.exports(symbol)).then_some((item, better))
    });
    let name = demangle(symbol);
    told.reason = format!("{by} uses {name}, which none of the libraries that it needs defines.");
    if let Some((item, better)) = stale {
        tell_loaded(Some(item), snapshot, told);
        let by = told.loaded_by.clone().unwrap_or_else(|| "before".into());
        told.reason = format!(
            "{} lacks {name}; this copy of it is loaded already ({by}).",
            item.path()
        );
        told.fix = format!(
            "{} has it: start the kernel with LD_PRELOAD={}, so that it is loaded first.",
            better.display(),
            better.display()
        );
        told.candidates.push(Candidate {
            path: shown(&better),
            provides: Some("defines it".into()),
            would_do: true,
        });
        return;
    }
    let (major, minor) = snapshot.python;
    told.fix = match told.candidates.first() {
        _ if symbol.starts_with("Py") || symbol.starts_with("_Py") => {
            format!(
                "the symbol is Python's, and Python {major}.{minor} does not have it: install a build of {by} for this Python."
            )
        }
        Some(file) => format!(
            "{} defines it, but was not loaded for all: link {by} with it, or load it with ctypes.CDLL(..., ctypes.RTLD_GLOBAL) before.",
            file.path
        ),
        None => format!(
            "{by} was built against another version of a library that it needs ({}): install versions that were built for each other.",
            needs(&facts.needed)
        ),
    };
}

fn needs(needed: &[String]) -> String {
    let is_system = |name: &str| {
        matches!(
            family_of_name(name),
            Some(Family::C | Family::Math | Family::Linker)
        )
    };
    let own = needed.iter().filter(|name| !is_system(name));
    let names: Vec<&str> = own.map(String::as_str).collect();
    match names.is_empty() {
        true => "none but the system's are named".into(),
        false => names.join(", "),
    }
}

fn static_tls(failure: &Failure, snapshot: &ImportSnapshot, told: &mut Explanation) {
    let size = file::facts(Path::new(&failure.file)).map_or(0, |facts| facts.tls);
    let users: Vec<&str> = snapshot
        .items
        .iter()
        .filter(|item| item.facts.image.needs_static_tls && item.facts.image.tls > 0)
        .map(|item| item.facts.name.as_str())
        .collect();
    told.missing = format!("{size} bytes of static TLS");
    told.required_by = Some(failure.file.clone());
    told.reason = format!(
        "{} wants {size} bytes in the block that every thread got at its start, and the reserve for libraries that come later is used up; {} loaded libraries took from it.",
        file_name(&failure.file),
        users.len(),
    );
    told.fix = format!(
        "import it before the others, at the beginning; or start the kernel with GLIBC_TUNABLES=glibc.rtld.optional_static_tls={} (512 is usual).",
        (size + 512).next_multiple_of(512).max(4096),
    );
}
