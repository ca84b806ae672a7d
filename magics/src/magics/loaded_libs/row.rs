//! One library as a row: its fields, and which of them are columns.

use diaphane_sight::code::symbols::Source;
use diaphane_sight::linker::libraries::{LibraryKind, Segment as Piece};
use diaphane_sight::packages::Manager;
use diaphane_sight::proc::maps;
use diaphane_sight::proc::maps::Region;
use diaphane_sight::proc::pages::Pages;
use diaphane_sight::proc::residency;
use diaphane_sight::proc::spans::Span;
use diaphane_sight::runtimes::pool_libraries;
use diaphane_sight::runtimes::pool_libraries::Api;
use serde::Serialize;

use crate::error::Error;
use crate::libraries::inventory::LibraryEntry;
use crate::libraries::names::stem;
use diaphane_report::Address;

#[derive(Default, Serialize)]
pub(super) struct LibraryRow<'a> {
    name: &'a str,
    stem: Option<&'a str>,
    path: Option<&'a str>,
    soname: Option<&'a str>,
    kind: &'static str,
    module: Option<&'a str>,
    version: Option<&'a str>,
    package: Option<&'a str>,
    package_version: Option<&'a str>,
    package_manager: Option<Manager>,
    runtime: Option<&'static str>,
    api: Option<Api>,
    architecture: Option<&'a str>,
    provides: &'a [&'static str],
    pool_size: Option<usize>,
    base: Option<Address>,
    end: Option<Address>,
    size: usize,
    rss: Option<u64>,
    segments: Vec<Segment<'a>>,
    build_id: Option<&'a str>,
    needed: &'a [String],
    needed_by: &'a [String],
    rpath: Option<&'a str>,
    runpath: Option<&'a str>,
    loaded_by: Option<String>,
    found_by: Option<String>,
    first_cell: Option<u32>,
    symbols: Option<Source>,
    gil: Option<&'static str>,
    subinterp: Option<&'static str>,
    fork_note: Option<&'static str>,
    deleted: bool,
}

#[derive(Serialize)]
struct Segment<'a> {
    start: Address,
    end: Address,
    perms: &'a str,
}

impl<'a> LibraryRow<'a> {
    pub fn of(item: &'a LibraryEntry, all: &[LibraryEntry], resident: Option<&Resident>) -> Self {
        let (facts, fixed) = (&item.facts, &item.fixed);
        let runtime = fixed.runtime;
        let declared = item.declared.as_ref();
        Self {
            name: &facts.name,
            stem: Some(stem(&facts.name)),
            path: facts.path.as_deref(),
            soname: facts.image.soname.as_deref(),
            kind: kind(facts.kind),
            module: item.module(),
            version: fixed.version.as_deref(),
            package: fixed.package.as_ref().map(|package| package.name.as_str()),
            package_version: fixed.package_version.as_deref(),
            package_manager: fixed.package.as_ref().map(|package| package.manager),
            runtime: runtime.map(|runtime| runtime.name),
            api: runtime.map(|runtime| runtime.api),
            architecture: fixed.architecture.as_deref(),
            provides: &fixed.provides,
            pool_size: runtime.and_then(|runtime| pool_libraries::threads_of(facts, runtime)),
            base: Some(Address(facts.span.start)),
            end: Some(Address(facts.span.end)),
            size: facts.size(),
            rss: resident.and_then(|resident| resident.of(facts.span)),
            segments: facts.segments.iter().map(segment).collect(),
            build_id: facts.image.build_id.as_deref(),
            needed: &facts.image.needed,
            needed_by: &facts.needed_by,
            rpath: facts.image.rpath.as_deref(),
            runpath: facts.image.runpath.as_deref(),
            loaded_by: item.loaded_by(all),
            found_by: item.found_by(),
            first_cell: item.cell(),
            symbols: Some(fixed.symbols).filter(|_| facts.path.is_some()),
            gil: declared.and_then(|declared| declared.gil),
            subinterp: declared.and_then(|declared| declared.interpreters),
            fork_note: runtime.and_then(fork_note),
            deleted: facts.deleted,
        }
    }

    /// Code that lies in no file: a just-in-time compiler wrote it.
    pub fn code(region: &'a Region, resident: Option<&Resident>) -> Self {
        Self {
            name: region.name.as_deref().unwrap_or("[anonymous code]"),
            kind: "generated code",
            base: Some(Address(region.span.start)),
            end: Some(Address(region.span.end)),
            size: region.span.len(),
            rss: resident.and_then(|resident| resident.of(region.span)),
            segments: vec![Segment {
                start: Address(region.span.start),
                end: Address(region.span.end),
                perms: &region.perms,
            }],
            ..Self::default()
        }
    }
}

fn segment(piece: &Piece) -> Segment<'_> {
    Segment {
        start: Address(piece.span.start),
        end: Address(piece.span.end),
        perms: &piece.perms,
    }
}

pub(super) fn kind(kind: LibraryKind) -> &'static str {
    match kind {
        LibraryKind::Program => "program",
        LibraryKind::Extension => "extension module",
        LibraryKind::Cell => "Rust cell",
        LibraryKind::Library => "shared library",
        LibraryKind::Loader => "loader",
        LibraryKind::Vdso => "vdso",
    }
}

/// GCC's runtime keeps a pool that a forked child does not have; the others start anew.
fn fork_note(runtime: &pool_libraries::Runtime) -> Option<&'static str> {
    (runtime.name == "GNU OpenMP").then_some("a child hangs if its parent has used it")
}

/// What is in physical memory: the page table where the kernel scans it, else its list of regions.
pub(super) enum Resident {
    Pages(Pages),
    Regions(Vec<(Span, u64)>),
}

impl Resident {
    pub fn read() -> Result<Self, Error> {
        match Pages::open() {
            Ok(pages) if pages.knows_huge() => Ok(Self::Pages(pages)),
            _ => Ok(Self::Regions(maps::resident()?)),
        }
    }

    fn of(&self, own: Span) -> Option<u64> {
        match self {
            Self::Pages(pages) => residency::resident(pages, own),
            Self::Regions(regions) => Some(rss(own, regions)),
        }
    }
}

/// The kernel counts whole regions; one that reaches beyond the library counts with at most its part.
fn rss(own: Span, regions: &[(Span, u64)]) -> u64 {
    let first = regions.partition_point(|(span, _)| span.end <= own.start);
    let inside = regions[first..]
        .iter()
        .take_while(|(span, _)| span.start < own.end);
    inside
        .map(|&(span, rss)| rss.min(span.intersection(own).len() as u64))
        .sum()
}
