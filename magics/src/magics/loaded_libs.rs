//! `%loaded_libs`: which native libraries are in this process, whose they are, and who needs them.
//!
//! The facts come from the dynamic linker, the kernel and the mapped images; the packages from installers' lists.

mod binding;
mod columns;
mod diagnoses;
mod row;
mod tree;

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use diaphane_forks::ProcessLock;
use diaphane_sight::linker::libraries;
use diaphane_sight::linker::libraries::LibraryKind;
use diaphane_sight::packages::Manager;
use diaphane_sight::proc::maps::{MappingKind, Maps, Region};
use diaphane_sight::proc::spans::Span;

use regex::Regex;
use serde_json::json;

use crate::error::Error;
use crate::libraries::inventory;
use crate::libraries::inventory::LibraryEntry;
use crate::magic::{Context, Magic, Questions};
use crate::session::{door, import_audit, lane};
use diaphane_cpython::extensions;
use diaphane_report::view::bytes;
use diaphane_report::{Bar, Part, Report, fields, rows};
use diaphane_report::{Schema, regex};
use row::{LibraryRow, Resident};

/// List the native libraries that are loaded into this process.
///
/// For each one: what it is, the package that brought it, how much memory it maps, in which cell and by whom it was
/// loaded, and where the linker found it. The rows also hold soname, build ID, what it needs, its search paths, its
/// segments, and for BLAS and OpenMP runtimes the version, the kernels in use and the size of the pool.
#[derive(Debug, clap::Args)]
pub(crate) struct LoadedLibsArgs {
    /// Only libraries whose name, path or package matches, in any case
    #[arg(value_name = "REGEX")]
    pattern: Option<String>,
    /// Only what was loaded since the last cell began
    #[arg(long)]
    new: bool,
    /// Show who needs whom as a tree
    #[arg(long)]
    tree: bool,
    /// Show the chain of causes for one library, from the cell to the file
    #[arg(long, value_name = "LIB")]
    why: Option<String>,
    /// Show which libraries define or use a symbol, and which definition each use got
    #[arg(long, value_name = "NAME")]
    sym: Option<String>,
    /// Only libraries that are there more than once
    #[arg(long)]
    dup: bool,
    /// Also the code that the operating system maps into every process, and generated code
    #[arg(long)]
    all: bool,
    /// Also how much of each is in physical memory (slower)
    #[arg(long)]
    rss: bool,
}

/// What was loaded when this magic last ran, for processes in which nobody counts cells.
static SEEN: ProcessLock<Option<HashSet<LibraryIdentity>>> = ProcessLock::new(|| None);

/// What tells one loaded library from another: its base and its path.
type LibraryIdentity = (usize, Option<String>);

/// Takes note of what is loaded already, so that the first `--new` does not list Python itself.
pub(crate) fn remember_what_is_loaded() {
    if let Ok(loaded) = libraries::now() {
        exchange_seen(loaded.iter().map(identity).collect());
    }
}

fn exchange_seen(now: HashSet<LibraryIdentity>) -> HashSet<LibraryIdentity> {
    let mut seen = SEEN.lock();
    seen.replace(now).unwrap_or_default()
}

fn identity(library: &libraries::Library) -> LibraryIdentity {
    (library.span.start, library.path.clone())
}

/// The magic.
pub(crate) struct LoadedLibs;

impl Magic for LoadedLibs {
    const NAME: &'static str = "loaded_libs";
    const QUESTIONS: Questions = &[
        ("Which native libraries are loaded, and from where?", ""),
        ("Which libraries came with this import?", "--new"),
        ("Why is this library loaded?", "--why LIB"),
        (
            "Which of several definitions of a function is used?",
            "--sym NAME",
        ),
    ];
    const SCHEMA: &'static Schema = &columns::SCHEMA;
    type Args = LoadedLibsArgs;

    fn only_looks(args: &LoadedLibsArgs) -> bool {
        !args.new
    }

    fn run(args: &LoadedLibsArgs, context: &Context<'_, '_>) -> Result<Report, Error> {
        let compile = |pattern: &String| regex("%loaded_libs", pattern);
        let pattern = args.pattern.as_ref().map(compile).transpose()?;
        let declared = match context.user {
            Some(user) => extensions::declared(user.py)?,
            None => Arc::default(),
        };
        let interpreter = context
            .user
            .map(|user| diagnoses::Interpreter::ask(user.py))
            .transpose()?;
        let items = context.without_gil(|| inventory::all(&declared))?;
        let mut report = context.without_gil(|| match &args.sym {
            Some(name) => binding::report(name, &items, pattern.as_ref()),
            None => report(args, pattern.as_ref(), &items, interpreter.as_ref()),
        })?;
        if let Some(wanted) = &args.why {
            tree::why(&mut report, wanted, &items, context)?;
        }
        let unheard = import_audit::why_not();
        report.limits.extend(
            unheard.map(|why| format!("{why}: which line asked for a library is not known")),
        );
        if door::is_guest() && !args.new {
            report.limits.push(
                "what was loaded before %load_ext diaphane: which line asked for it is not known"
                    .into(),
            );
        }
        if context.user.is_none() {
            report
                .limits
                .push("asked without Python: what extension modules declare is not known".into());
        }
        Ok(report)
    }
}

fn report(
    args: &LoadedLibsArgs,
    pattern: Option<&Regex>,
    items: &[LibraryEntry],
    interpreter: Option<&diagnoses::Interpreter>,
) -> Result<Report, Error> {
    let mut listed = listed(args, pattern, items)?;
    // A chain of causes and copies of one library are listed as the linker has them.
    if args.why.is_none() && !args.dup {
        listed.sort_by_key(|item| newness(item));
    }
    let resident = args.rss.then(Resident::read).transpose()?;
    let resident = resident.as_ref();
    let generated = if args.all {
        generated(items)?
    } else {
        Vec::new()
    };
    let mapped: usize = listed.iter().map(|item| item.facts.size()).sum();
    let of_items = listed
        .iter()
        .map(|item| LibraryRow::of(item, items, resident));
    let of_code = generated
        .iter()
        .map(|region| LibraryRow::code(region, resident));
    let is_counted = |item: &&LibraryEntry| args.all || item.facts.kind != LibraryKind::Vdso;
    let counted = items.iter().filter(is_counted).count();
    let asks_for_one = args.why.is_some();
    let groups = groups(&listed);
    let in_json = |&(package, libs, bytes): &(&str, usize, usize)| json!({"package": package, "libs": libs, "bytes": bytes});
    Ok(Report {
        name: LoadedLibs::NAME,
        columns: columns::COLUMNS,
        facts: fields(json!({
            "totals": {"libs": listed.len(), "loaded": counted, "bytes": mapped},
            "groups": groups.iter().map(in_json).collect::<Vec<_>>(),
            "found_by": "computed again by the rules of ld.so from what the ELF images say",
        }))?,
        wanted: wanted(args),
        bars: match asks_for_one || args.tree {
            true => Vec::new(),
            false => packages(&groups, mapped).into_iter().collect(),
        },
        summary: vec![summary(&listed, counted, mapped, args)],
        listing: if args.tree {
            tree::tree(&listed, items)
        } else {
            Vec::new()
        },
        diagnoses: match asks_for_one {
            true => Vec::new(),
            false => diagnoses::all(&listed, items, interpreter),
        },
        rows: rows(of_items.chain(of_code))?,
        ..Report::default()
    })
}

fn listed<'a>(
    args: &LoadedLibsArgs,
    pattern: Option<&Regex>,
    items: &'a [LibraryEntry],
) -> Result<Vec<&'a LibraryEntry>, Error> {
    let seen = exchange_seen(items.iter().map(|item| identity(&item.facts)).collect());
    let since = lane::last_cell();
    let is_new = |item: &LibraryEntry| match since {
        Some(last) => item.came.is_some_and(|came| came.begun >= last.begun),
        None => !seen.contains(&identity(&item.facts)),
    };
    let duplicates = if args.dup {
        diagnoses::duplicates(items)
    } else {
        HashSet::new()
    };
    let why = match &args.why {
        Some(wanted) => Some(tree::causes(tree::find(wanted, items)?, items)),
        None => None,
    };
    let all = items.iter().enumerate();
    let wanted = all
        .filter(|(_, item)| args.all || item.facts.kind != LibraryKind::Vdso)
        .filter(|(_, item)| !args.new || is_new(item))
        .filter(|(index, _)| !args.dup || duplicates.contains(index))
        .filter(|(index, _)| why.as_ref().is_none_or(|chain| chain.contains(index)))
        .map(|(_, item)| item)
        .filter(|item| matches(pattern, item));
    Ok(wanted.collect())
}

/// What the latest cells brought comes first, then other packages, then Python and the kernel.
fn newness(item: &LibraryEntry) -> (u8, Reverse<Option<u32>>) {
    let package = item.fixed.package.as_ref();
    let is_users = package.is_some_and(|package| package.manager == Manager::Pip);
    match (item.cell(), is_users) {
        (Some(cell), _) => (0, Reverse(Some(cell))),
        (None, true) => (1, Reverse(None)),
        (None, false) => (2, Reverse(None)),
    }
}

fn matches(pattern: Option<&Regex>, item: &LibraryEntry) -> bool {
    let package = item
        .fixed
        .package
        .as_ref()
        .map(|package| package.name.as_str());
    let texts = [
        Some(item.facts.name.as_str()),
        item.facts.path.as_deref(),
        package,
    ];
    pattern.is_none_or(|pattern| {
        texts
            .into_iter()
            .flatten()
            .any(|text| pattern.is_match(text))
    })
}

/// Regions that may run and belong to no library.
fn generated(items: &[LibraryEntry]) -> Result<Vec<Region>, Error> {
    let is_free = |span: Span| items.iter().all(|item| !item.facts.span.overlaps(span));
    let regions = Maps::read()?.regions.into_iter();
    let code = regions.filter(|region| {
        region.is_executable() && region.kind() != MappingKind::Special && is_free(region.span)
    });
    Ok(code.collect())
}

/// The packages with the number of their libraries and the bytes that these map, the largest first.
fn groups<'a>(listed: &[&'a LibraryEntry]) -> Vec<(&'a str, usize, usize)> {
    let mut groups: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for item in listed {
        if let Some(package) = &item.fixed.package {
            let group = groups.entry(&package.name).or_default();
            *group = (group.0 + 1, group.1 + item.facts.size());
        }
    }
    let mut groups: Vec<_> = groups
        .into_iter()
        .map(|(package, (libs, bytes))| (package, libs, bytes))
        .collect();
    groups.sort_by_key(|(_, _, bytes)| Reverse(*bytes));
    groups
}

/// The fields that answer what was asked.
fn wanted(args: &LoadedLibsArgs) -> &'static [&'static str] {
    match args {
        LoadedLibsArgs { why: Some(_), .. } => &["loaded_by", "found_by"],
        LoadedLibsArgs { dup: true, .. } => &["path", "needed_by"],
        LoadedLibsArgs { new: true, .. } => &["loaded_by"],
        _ => &[],
    }
}

/// What the libraries of each package map, and those of none; nothing where there is nothing to compare.
fn packages(groups: &[(&str, usize, usize)], mapped: usize) -> Option<Bar> {
    const MOST: usize = 6;
    let (large, small) = groups.split_at(groups.len().min(MOST));
    let sum = |groups: &[(&str, usize, usize)]| -> usize { groups.iter().map(|one| one.2).sum() };
    let parts = large
        .iter()
        .map(|&(package, _, size)| (package.to_owned(), size));
    let others = (format!("{} other packages", small.len()), sum(small));
    let none = ("no package".to_owned(), mapped.saturating_sub(sum(groups)));
    let parts = parts.chain([others, none]).filter(|(_, size)| *size > 0);
    let part = |(name, size): (String, usize)| Part {
        name,
        words: bytes(size as f64),
        amount: size as f64,
    };
    let parts: Vec<Part> = parts.map(part).collect();
    (parts.len() > 1).then(|| Bar {
        title: "mapped by the libraries of".to_owned(),
        parts,
    })
}

fn summary(
    listed: &[&LibraryEntry],
    loaded: usize,
    mapped: usize,
    args: &LoadedLibsArgs,
) -> String {
    let packages: HashSet<&str> = listed
        .iter()
        .filter_map(|item| item.fixed.package.as_ref())
        .map(|package| package.name.as_str())
        .collect();
    let count = match listed.len() {
        0 if args.new => {
            return match lane::last_cell() {
                Some(last) => format!(
                    "nothing was loaded since In[{}] began; {loaded} libraries are loaded",
                    last.number
                ),
                None => format!(
                    "nothing was loaded since %loaded_libs last ran; {loaded} libraries are loaded"
                ),
            };
        }
        0 => {
            return match &args.pattern {
                Some(pattern) => {
                    format!("none of the {loaded} loaded libraries matches {pattern:?}")
                }
                None => format!("none of the {loaded} loaded libraries matches"),
            };
        }
        all if all == loaded => format!("{all} libraries"),
        some => format!("{some} of {loaded} libraries"),
    };
    let owned = listed
        .iter()
        .filter(|item| item.fixed.package.is_some())
        .count();
    let mapped = bytes(mapped as f64);
    match packages.len() {
        0 => format!("{count}, {mapped} mapped; none belongs to a package"),
        1 if owned == 1 => format!("{count}, {mapped} mapped; it belongs to a package"),
        1 => format!("{count}, {mapped} mapped; {owned} belong to 1 package"),
        many => format!("{count}, {mapped} mapped; {owned} belong to {many} packages"),
    }
}
