//! The rows: one for each region, and their sums.

use std::collections::BTreeMap;

use diaphane_sight::linker::libraries;
use diaphane_sight::linker::libraries::Library;
use diaphane_sight::proc::maps::{Maps, Region};
use diaphane_sight::proc::residency::{RegionUsage, usage};
use diaphane_sight::proc::spans::Span;
use diaphane_sight::regions::{Purpose, RegionKind, purposes};
use serde::Serialize;

use super::arrays::{Arrays, filled};
use crate::error::Error;
use crate::memory::arrow_pools::{PoolMappings, PoolPart};
use diaphane_report::Address;

/// One region.
#[derive(Debug, Clone, Serialize)]
pub(super) struct RegionRow {
    pub lo: Address,
    pub hi: Address,
    pub size: usize,
    pub rss: Option<u64>,
    pub pss: Option<u64>,
    pub swap: Option<u64>,
    pub huge: Option<u64>,
    pub perms: String,
    pub kind: &'static str,
    pub owner: Option<String>,
    pub name: Option<String>,
    pub arrays: Vec<String>,
    #[serde(skip)]
    pub pool: Option<PoolPart>,
}

/// The regions of one kind, or of one owner.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Total {
    pub kind: &'static str,
    pub owner: Option<String>,
    pub regions: usize,
    pub size: usize,
    pub rss: Option<u64>,
    pub pss: Option<u64>,
    pub swap: Option<u64>,
    pub huge: Option<u64>,
}

/// The address space.
pub(super) struct AddressSpace {
    maps: Maps,
    usages: Option<Vec<RegionUsage>>,
    libraries: Vec<Library>,
    purposes: Vec<Purpose>,
}

impl AddressSpace {
    /// Reads it. Where the kernel does not tell usage, regions alone are known.
    pub fn read(shares: bool, limits: &mut Vec<String>) -> Result<Self, Error> {
        let (maps, usages) = match usage(shares) {
            Ok((maps, usages)) if !usages.is_empty() => (maps, Some(usages)),
            _ => {
                limits.push("neither /proc/self/pagemap nor /proc/self/smaps can be read here, so what is in physical memory is unknown".into());
                (Maps::read()?, None)
            }
        };
        let libraries = libraries::loaded(&maps)?;
        let purposes = purposes(&maps, &libraries);
        Ok(Self {
            maps,
            usages,
            libraries,
            purposes,
        })
    }

    /// Whether memory touches a region that arrays may have for themselves, which malloc's arenas are not.
    pub fn has_room_for_arrays(&self, span: Span) -> bool {
        let regions = &self.maps.regions;
        let first = regions.partition_point(|region| region.span.end <= span.start);
        let touched = regions[first..].iter().zip(&self.purposes[first..]);
        let mut touched = touched.take_while(|(region, _)| region.span.start < span.end);
        touched.any(|(_, purpose)| !matches!(purpose.kind, RegionKind::Heap | RegionKind::Arena))
    }

    /// A row for each region.
    pub fn rows(&self, arrays: &Arrays) -> Vec<RegionRow> {
        let pools = PoolMappings::of(&self.libraries);
        let arrays = arrays.by_region(&self.maps);
        let one = |(index, region): (usize, &Region)| {
            let usage = self.usages.as_ref().map(|usages| usages[index]);
            let pool = pools.part(region);
            row(
                region,
                &self.purposes[index],
                pool,
                usage,
                &self.libraries,
                &arrays[index],
            )
        };
        self.maps.regions.iter().enumerate().map(one).collect()
    }
}

fn row(
    region: &Region,
    purpose: &Purpose,
    pool: Option<PoolPart>,
    usage: Option<RegionUsage>,
    libraries: &[Library],
    arrays: &[&(Span, String)],
) -> RegionRow {
    let is_array = purpose.kind == RegionKind::Anonymous
        && filled(region.span, arrays) * 2 >= region.span.len();
    let names: Vec<String> = arrays.iter().map(|(_, name)| name.clone()).collect();
    let library = purpose.library.map(|index| libraries[index].name.clone());
    let threads: Vec<String> = purpose
        .stacks
        .iter()
        .map(|stack| thread(stack.thread))
        .collect();
    let is_nameless = purpose.kind == RegionKind::Anonymous;
    let of_pool = pool.filter(|pool| is_nameless && pool.fills(region.span));
    RegionRow {
        lo: Address(region.span.start),
        hi: Address(region.span.end),
        size: region.span.len(),
        rss: usage.map(|usage| usage.rss),
        pss: usage.and_then(|usage| usage.pss),
        swap: usage.map(|usage| usage.swap),
        huge: usage.map(|usage| usage.huge),
        perms: region.perms.clone(),
        kind: match (is_array, of_pool) {
            (true, _) => ARRAY,
            (false, Some(_)) => POOL,
            (false, None) => word(purpose.kind),
        },
        owner: library
            .or_else(|| listed(&threads))
            .or_else(|| is_array.then(|| listed(&names)).flatten())
            .or_else(|| of_pool.map(|pool| pool.backend.owner().to_owned())),
        pool,
        name: region.name.clone(),
        arrays: names,
    }
}

/// The owner of a stack. The C library keeps the stacks of some threads that have ended, which have no number any more.
pub(super) fn thread(number: i32) -> String {
    match number {
        1.. => format!("thread {number}"),
        _ => "a thread that has ended".to_owned(),
    }
}

/// The kind of a region that arrays fill.
pub(super) const ARRAY: &str = "array";

/// The kind of a region that one of Arrow's pools keeps.
pub(super) const POOL: &str = "pool";

/// The word for a kind.
pub(super) fn word(kind: RegionKind) -> &'static str {
    match kind {
        RegionKind::Code => "code",
        RegionKind::Data => "data",
        RegionKind::Heap => "heap",
        RegionKind::Arena => "thread arena",
        RegionKind::Stack => "stack",
        RegionKind::File => "file",
        RegionKind::Shared => "shared",
        RegionKind::Jit => "jit",
        RegionKind::Kernel => "kernel",
        RegionKind::Reserved => "reserved",
        RegionKind::Anonymous => "anonymous",
    }
}

/// The first names, and how many more there are.
fn listed(names: &[String]) -> Option<String> {
    const SHOWN: usize = 3;
    let more = names.len().saturating_sub(SHOWN);
    let first = names
        .iter()
        .take(SHOWN)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    match (names.is_empty(), more) {
        (true, _) => None,
        (false, 0) => Some(first),
        (false, more) => Some(format!("{first}, +{more}")),
    }
}

/// The sums by kind, the largest in physical memory first.
pub(super) fn totals(rows: &[RegionRow]) -> Vec<Total> {
    sums(rows, |row| (row.kind, None))
}

/// What the physical memory is taken by, the largest first. A library's code and data are one thing here.
pub(super) fn parts(totals: &[Total]) -> Vec<(&'static str, u64)> {
    let mut parts: Vec<(&'static str, u64)> = Vec::new();
    for total in totals {
        let kind = part(total.kind);
        let rss = total.rss.unwrap_or(0);
        match parts.iter_mut().find(|(name, _)| *name == kind) {
            Some((_, sum)) => *sum += rss,
            None => parts.push((kind, rss)),
        }
    }
    parts.retain(|(_, amount)| *amount > 0);
    parts.sort_by_key(|(_, amount)| std::cmp::Reverse(*amount));
    parts
}

/// The part that a kind belongs to.
pub(super) fn part(kind: &'static str) -> &'static str {
    match kind {
        "code" | "data" => "libraries",
        kind => kind,
    }
}

/// The sums by owner; regions without one are added up by kind.
pub(super) fn by_owner(rows: &[RegionRow]) -> Vec<Total> {
    let key = |row: &RegionRow| match (&row.owner, row.kind) {
        // A library's parts are one thing here.
        (Some(owner), "code" | "data" | "reserved") => ("library", Some(owner.clone())),
        (owner, kind) => (kind, owner.clone()),
    };
    sums(rows, key)
}

fn sums(
    rows: &[RegionRow],
    key: impl Fn(&RegionRow) -> (&'static str, Option<String>),
) -> Vec<Total> {
    let mut groups: BTreeMap<(&'static str, Option<String>), Total> = BTreeMap::new();
    let add = |sum: &mut Option<u64>, more: Option<u64>| {
        *sum = sum.zip(more).map(|(sum, more)| sum + more)
    };
    for row in rows {
        let (kind, owner) = key(row);
        let empty = || Total {
            kind,
            owner: owner.clone(),
            regions: 0,
            size: 0,
            rss: Some(0),
            pss: Some(0),
            swap: Some(0),
            huge: Some(0),
        };
        let total = groups.entry((kind, owner.clone())).or_insert_with(empty);
        total.regions += 1;
        total.size += row.size;
        add(&mut total.rss, row.rss);
        add(&mut total.pss, row.pss);
        add(&mut total.swap, row.swap);
        add(&mut total.huge, row.huge);
    }
    let mut totals: Vec<Total> = groups.into_values().collect();
    totals.sort_by_key(|total| std::cmp::Reverse((total.rss, total.size)));
    totals
}
