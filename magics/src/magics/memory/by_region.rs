//! Physical memory by what its regions are for: the whole that the claims are taken from.

use diaphane_sight::linker::libraries;
use diaphane_sight::proc::maps::Maps;
use diaphane_sight::proc::pages::Pages;
use diaphane_sight::proc::residency::{resident, usage};
use diaphane_sight::proc::spans::Span;
use diaphane_sight::regions::{Purpose, RegionKind, purposes};

use crate::error::Error;
use crate::memory::arrow_pools::{self, MemoryPool, PoolMappings};

/// Which part of the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pot {
    /// What programs allocate: malloc's heap and arenas, and memory without a name.
    Private,
    Libraries,
    /// Mapped files, and what processes share.
    Files,
    Stacks,
    /// Linux's own pages, and addresses that are only taken.
    Linux,
}

/// What there is.
pub(super) struct Pots {
    maps: Maps,
    purposes: Vec<Purpose>,
    rss: Vec<u64>,
    pages: Option<Pages>,
}

impl Pots {
    /// Reads it.
    pub fn read(pools: &mut [MemoryPool]) -> Result<Self, Error> {
        let (maps, usages) = usage(false)?;
        let libraries = libraries::loaded(&maps)?;
        let purposes = purposes(&maps, &libraries);
        let of_pools = PoolMappings::of(&libraries);
        arrow_pools::hold(
            pools,
            maps.regions
                .iter()
                .filter_map(|region| of_pools.part(region)),
        );
        Ok(Self {
            rss: usages.iter().map(|usage| usage.rss).collect(),
            pages: Pages::open().ok(),
            maps,
            purposes,
        })
    }

    /// All of the physical memory.
    pub fn rss(&self) -> u64 {
        self.rss.iter().sum()
    }

    /// That of a part.
    pub fn of(&self, pot: Pot) -> u64 {
        self.sum(|kind| self::pot(kind) == pot)
    }

    /// That of malloc's heap and arenas.
    pub fn of_malloc(&self) -> u64 {
        self.sum(|kind| matches!(kind, RegionKind::Heap | RegionKind::Arena))
    }

    fn sum(&self, is_in: impl Fn(RegionKind) -> bool) -> u64 {
        let regions = self.purposes.iter().zip(&self.rss);
        regions
            .filter(|(purpose, _)| is_in(purpose.kind))
            .map(|(_, rss)| rss)
            .sum()
    }

    /// Where an address lies.
    pub fn at(&self, address: usize) -> Option<Pot> {
        let after = self
            .maps
            .regions
            .partition_point(|region| region.span.start <= address);
        let index = after.checked_sub(1)?;
        let is_inside = self.maps.regions[index].span.contains(address);
        is_inside.then(|| pot(self.purposes[index].kind))
    }

    /// How much of a span is in physical memory. What is small lies beside other things, and is there.
    pub fn resident(&self, span: Span) -> u64 {
        const SMALL: usize = 8 << 10;
        let size = span.len() as u64;
        match &self.pages {
            Some(pages) if span.len() >= SMALL => {
                resident(pages, span).map_or(size, |found| found.min(size))
            }
            _ => size,
        }
    }
}

fn pot(kind: RegionKind) -> Pot {
    match kind {
        RegionKind::Code | RegionKind::Data => Pot::Libraries,
        RegionKind::File | RegionKind::Shared => Pot::Files,
        RegionKind::Stack => Pot::Stacks,
        RegionKind::Kernel | RegionKind::Reserved => Pot::Linux,
        RegionKind::Heap | RegionKind::Arena | RegionKind::Anonymous | RegionKind::Jit => {
            Pot::Private
        }
    }
}
