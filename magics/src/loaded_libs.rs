//! `%loaded_libs`: which native libraries are in this process, whose they are, and who needs them.
//!
//! The facts come from the dynamic linker, the kernel and the mapped images; the packages from installers' lists.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use diaphane_sight::libs::{self, Kind};
use diaphane_sight::maps::{self, Maps};
use diaphane_sight::packages::{self, Package};
use diaphane_sight::pools::{self, Api};
use diaphane_sight::spans::Span;
use regex::Regex;
use serde::Serialize;
use serde_json::json;

use crate::args::regex;
use crate::report::{Address, Column, Diagnosis, Report, Severity, Show, fields, rows};
use crate::view::bytes;
use crate::{Context, Error, Magic};

/// List the native libraries that are loaded into this process.
///
/// For each one: what it is, the Python package that brought it, how much memory it maps, where it lies, and which
/// loaded libraries need it. The rows also hold soname, build ID, what it needs, its search paths and its segments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only libraries whose name, path or package matches, in any case
    #[arg(value_name = "REGEX")]
    pattern: Option<String>,
    /// Only what was loaded since this magic last ran
    #[arg(long)]
    new: bool,
    /// Also the vDSO, the code that the kernel maps into every process
    #[arg(long)]
    all: bool,
    /// Also how much of each is in physical memory (slower)
    #[arg(long)]
    rss: bool,
}

const COLUMNS: &[Column] = &[
    Column::new("name", Show::Text, 0).at_least(28),
    Column::new("package", Show::Text, 1)
        .with("package_version")
        .at_least(16),
    Column::new("kind", Show::Text, 3).at_least(16),
    Column::new("size", Show::Bytes, 2),
    Column::new("rss", Show::Bytes, 1).optional(),
    Column::new("base", Show::Address, 4),
    Column::new("needed_by", Show::List, 5).titled("needed by"),
    Column::new("path", Show::Path, 6),
    Column::new("soname", Show::Text, 8),
    Column::new("needed", Show::List, 9).titled("needs"),
    Column::new("build_id", Show::Text, 10).titled("build ID"),
];

#[derive(Serialize)]
struct Row<'a> {
    name: &'a str,
    path: Option<&'a str>,
    soname: Option<&'a str>,
    kind: &'static str,
    package: Option<&'a str>,
    package_version: Option<&'a str>,
    base: Address,
    end: Address,
    size: usize,
    rss: Option<u64>,
    segments: Vec<Segment<'a>>,
    build_id: Option<&'a str>,
    needed: &'a [String],
    needed_by: &'a [String],
    rpath: Option<&'a str>,
    runpath: Option<&'a str>,
    deleted: bool,
}

#[derive(Serialize)]
struct Segment<'a> {
    start: Address,
    end: Address,
    perms: &'a str,
}

/// A library and the package that installed it.
struct Library {
    facts: libs::Library,
    package: Option<Arc<Package>>,
}

/// What tells one loaded library from another: its base and its path.
type Identity = (usize, Option<String>);

/// What was loaded when this magic last ran.
static SEEN: Mutex<Option<HashSet<Identity>>> = Mutex::new(None);

/// Takes note of what is loaded already, so that the first `--new` does not list Python itself.
pub(crate) fn remember_what_is_loaded() {
    if let Ok(loaded) = Maps::read().and_then(|maps| libs::loaded(&maps)) {
        exchange_seen(&loaded);
    }
}

fn exchange_seen(loaded: &[libs::Library]) -> HashSet<Identity> {
    let now = loaded.iter().map(identity).collect();
    SEEN.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .replace(now)
        .unwrap_or_default()
}

fn identity(library: &libs::Library) -> Identity {
    (library.span.start, library.path.clone())
}

/// The magic.
pub(crate) struct LoadedLibs;

impl Magic for LoadedLibs {
    const NAME: &'static str = "loaded_libs";
    type Args = Args;

    fn run(args: &Args, context: &Context<'_, '_>) -> Result<Report, Error> {
        let pattern = args
            .pattern
            .as_deref()
            .map(|pattern| regex("%loaded_libs", pattern))
            .transpose()?;
        context.without_gil(|| report(args, pattern.as_ref()))
    }
}

fn report(args: &Args, pattern: Option<&Regex>) -> Result<Report, Error> {
    let loaded = libs::loaded(&Maps::read()?)?;
    let seen = exchange_seen(&loaded);
    let all = loaded.into_iter().map(|facts| {
        let package = facts
            .path
            .as_deref()
            .and_then(|path| packages::owner(Path::new(path)));
        Library { facts, package }
    });
    let all: Vec<Library> = all
        .filter(|library| args.all || library.facts.kind != Kind::Vdso)
        .collect();
    let listed: Vec<&Library> = all
        .iter()
        .filter(|library| !args.new || !seen.contains(&identity(&library.facts)))
        .filter(|library| pattern.is_none_or(|pattern| matches(pattern, library)))
        .collect();
    let resident = if args.rss {
        Some(maps::resident()?)
    } else {
        None
    };
    let mapped: usize = listed.iter().map(|library| library.facts.size()).sum();
    Ok(Report {
        name: LoadedLibs::NAME,
        columns: COLUMNS,
        facts: fields(
            json!({"totals": {"libs": listed.len(), "loaded": all.len(), "bytes": mapped}}),
        )?,
        summary: vec![summary(&listed, all.len(), mapped, args.new)],
        diagnoses: [several_blas(&listed), deleted(&listed)]
            .into_iter()
            .flatten()
            .collect(),
        rows: rows(
            listed
                .iter()
                .map(|library| row(library, resident.as_deref())),
        )?,
        ..Report::default()
    })
}

fn matches(pattern: &Regex, library: &Library) -> bool {
    let facts = &library.facts;
    let package = library
        .package
        .as_ref()
        .map(|package| package.name.as_str());
    [Some(facts.name.as_str()), facts.path.as_deref(), package]
        .into_iter()
        .flatten()
        .any(|text| pattern.is_match(text))
}

fn row<'a>(library: &'a Library, resident: Option<&[(Span, u64)]>) -> Row<'a> {
    let facts = &library.facts;
    let segments = facts.segments.iter().map(|segment| Segment {
        start: Address(segment.span.start),
        end: Address(segment.span.end),
        perms: &segment.perms,
    });
    Row {
        name: &facts.name,
        path: facts.path.as_deref(),
        soname: facts.image.soname.as_deref(),
        kind: match facts.kind {
            Kind::Program => "program",
            Kind::Extension => "extension module",
            Kind::Library => "shared library",
            Kind::Loader => "loader",
            Kind::Vdso => "vdso",
        },
        package: library
            .package
            .as_ref()
            .map(|package| package.name.as_str()),
        package_version: library
            .package
            .as_ref()
            .map(|package| package.version.as_str()),
        base: Address(facts.span.start),
        end: Address(facts.span.end),
        size: facts.size(),
        rss: resident.map(|regions| rss(facts, regions)),
        segments: segments.collect(),
        build_id: facts.image.build_id.as_deref(),
        needed: &facts.image.needed,
        needed_by: &facts.needed_by,
        rpath: facts.image.rpath.as_deref(),
        runpath: facts.image.runpath.as_deref(),
        deleted: facts.deleted,
    }
}

/// The kernel counts whole regions; one that reaches beyond the library counts with at most its part.
fn rss(library: &libs::Library, regions: &[(Span, u64)]) -> u64 {
    let shares = regions
        .iter()
        .map(|&(span, rss)| rss.min(span.intersection(library.span).len() as u64));
    shares.sum()
}

fn summary(listed: &[&Library], loaded: usize, mapped: usize, new: bool) -> String {
    let packages: HashSet<&str> = listed
        .iter()
        .filter_map(|library| library.package.as_ref())
        .map(|package| package.name.as_str())
        .collect();
    let count = match listed.len() {
        0 if new => {
            return format!(
                "nothing was loaded since %loaded_libs last ran; {loaded} libraries are loaded"
            );
        }
        0 => return format!("none of the {loaded} loaded libraries matches"),
        all if all == loaded => format!("{all} libraries"),
        some => format!("{some} of {loaded} libraries"),
    };
    let owned = listed
        .iter()
        .filter(|library| library.package.is_some())
        .count();
    let mapped = bytes(mapped as f64);
    match packages.len() {
        0 => format!("{count}, {mapped} mapped; none belongs to a Python package"),
        1 => format!("{count}, {mapped} mapped; {owned} belong to 1 Python package"),
        many => format!("{count}, {mapped} mapped; {owned} belong to {many} Python packages"),
    }
}

fn several_blas(listed: &[&Library]) -> Option<Diagnosis> {
    let blas: Vec<String> = listed
        .iter()
        .filter_map(|library| {
            let runtime =
                pools::runtime(&library.facts).filter(|runtime| runtime.api == Api::Blas)?;
            Some(match &library.package {
                Some(package) => {
                    format!("{} of {} {}", runtime.name, package.name, package.version)
                }
                None => format!(
                    "{} in {}",
                    runtime.name,
                    library.facts.path.as_deref().unwrap_or(&library.facts.name)
                ),
            })
        })
        .collect();
    (blas.len() > 1).then(|| Diagnosis {
        code: "L002",
        severity: Severity::Info,
        title: format!("{} BLAS libraries are loaded, each with threads of its own.", blas.len()),
        fix: "This is usual where wheels bring their own; threadpoolctl sets the threads of all at once.".into(),
        evidence: blas,
    })
}

fn deleted(listed: &[&Library]) -> Option<Diagnosis> {
    let gone: Vec<String> = listed
        .iter()
        .filter(|library| library.facts.deleted)
        .filter_map(|library| library.facts.path.clone())
        .collect();
    (!gone.is_empty()).then(|| Diagnosis {
        code: "L004",
        severity: Severity::Warn,
        title: format!(
            "{} loaded from a file that was deleted or replaced since.",
            match gone.len() {
                1 => "1 library is".to_owned(),
                many => format!("{many} libraries are"),
            }
        ),
        fix: "Restart the kernel to use what is on disk now.".into(),
        evidence: gone,
    })
}
