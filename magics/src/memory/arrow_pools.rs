//! Arrow's memory pools: what each has in use, as pyarrow counts, and what it holds of the system's memory.
//!
//! A pool keeps what was freed for the next table, in mappings that have no name. They are recognised by what Arrow's own
//! copies of mimalloc and jemalloc note: the one has a list of its arenas, the other a table of all its pages. Only their
//! memory is read; none of their functions is called.

use diaphane_sight::code::symbols::Table;
use diaphane_sight::linker::libraries::{self, Library};
use diaphane_sight::proc::maps::{MappingKind, Maps, Region};
use diaphane_sight::proc::pages::Pages;
use diaphane_sight::proc::residency::resident;
use diaphane_sight::proc::spans::{Span, bytes as bytes_at, word};
use pyo3::prelude::*;
use serde::Serialize;

use diaphane_cpython::modules::imported;
use diaphane_report::view::{bytes, change};

/// The allocators that Arrow brings with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backend {
    Mimalloc,
    Jemalloc,
}

impl Backend {
    /// As pyarrow calls it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Mimalloc => "mimalloc",
            Self::Jemalloc => "jemalloc",
        }
    }

    /// As the owner of memory.
    pub const fn owner(self) -> &'static str {
        match self {
            Self::Mimalloc => "Arrow's mimalloc",
            Self::Jemalloc => "Arrow's jemalloc",
        }
    }
}

/// How the mappings of the pools are recognised.
#[derive(Debug, Default)]
pub(crate) struct PoolMappings {
    /// Where mimalloc's arenas begin.
    arenas: Vec<usize>,
    /// Where the roots of jemalloc's table of pages lie.
    pages: Option<usize>,
}

/// jemalloc's table has a root for each gigabyte of the 48 bits of an address, and a leaf for each page.
const ROOTS: usize = 1 << 18;
const PAGE: usize = 4096;
const WORD: usize = size_of::<usize>();

impl PoolMappings {
    /// Looks into Arrow's library, if it is loaded and its symbols are there.
    pub fn of(libraries: &[Library]) -> Self {
        let is_arrow = |library: &&Library| library.name.starts_with("libarrow.so");
        let Some(arrow) = libraries.iter().find(is_arrow) else {
            return Self::default();
        };
        let table = Table::of(arrow);
        let named = table.named(arrow.image.bias());
        let one = |name| named.of(name).into_iter().next();
        let arenas = one("subproc_main").map(|process| {
            let words = (process.start..process.start + process.size).step_by(WORD);
            words.filter_map(word).filter(|word| *word != 0).collect()
        });
        let pages = one("je_arrow_private_je_arena_emap_global").and_then(|table| {
            // The roots come last in it.
            let head = table.size.checked_sub(ROOTS * WORD)?;
            (head < 4096).then_some(table.start + head)
        });
        Self {
            arenas: arenas.unwrap_or_default(),
            pages,
        }
    }

    /// What a mapping has of a pool: whose it is, and from where to where. A mapping may begin or end with memory of others
    /// that lies beside it.
    pub fn part(&self, region: &Region) -> Option<PoolPart> {
        if region.kind() != MappingKind::Anonymous || region.perms.starts_with("---") {
            return None;
        }
        let backend = Backend::Mimalloc;
        if self.arenas.contains(&region.span.start) {
            return Some(PoolPart {
                backend,
                span: region.span,
            });
        }
        let pages = self.noted_pages(region.span)?;
        Some(PoolPart {
            backend: Backend::Jemalloc,
            span: pages,
        })
    }

    /// From the first to the last page of a span that jemalloc has in its table: it notes where each extent begins and ends.
    fn noted_pages(&self, span: Span) -> Option<Span> {
        const GIGABYTE: usize = 1 << 30;
        let roots = self.pages?;
        let (mut first, mut last) = (None, None);
        let mut start = span.start;
        while start < span.end {
            let end = span.end.min((start / GIGABYTE + 1) * GIGABYTE);
            let leaves = word(roots + start / GIGABYTE % ROOTS * WORD).unwrap_or(0);
            if leaves != 0 {
                let leaf = leaves.checked_add(start % GIGABYTE / PAGE * WORD)?;
                let notes = bytes_at(leaf, (end - start) / PAGE * WORD);
                let is_noted = |note: &[u8; WORD]| *note != [0; WORD];
                let (notes, _) = notes.as_chunks::<WORD>();
                let place = |index: usize| start + index * PAGE;
                first = first.or_else(|| notes.iter().position(is_noted).map(place));
                last = notes.iter().rposition(is_noted).map(place).or(last);
            }
            start = end;
        }
        Some(Span::new(first?, last? + PAGE))
    }
}

/// A part of a mapping that belongs to a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PoolPart {
    pub backend: Backend,
    pub span: Span,
}

impl PoolPart {
    /// Whether that is most of a mapping.
    pub fn fills(&self, region: Span) -> bool {
        self.span.len() * 2 >= region.len()
    }
}

/// A pool.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct MemoryPool {
    pub backend: String,
    /// Whether it serves what asks for no other.
    pub default: bool,
    pub used: Option<u64>,
    pub held: Option<u64>,
    /// The line that gives back what is not used.
    pub give_back: String,
    /// How often it was asked for memory, as far as this pyarrow counts that.
    #[serde(skip)]
    pub allocations: Option<u64>,
}

impl MemoryPool {
    /// Whether somebody has taken memory from it, or given some back, since the pools were like this.
    pub fn was_touched_since(&self, before: &[Self]) -> bool {
        let is_same = |one: &Self| {
            (&one.backend, one.used, one.allocations)
                == (&self.backend, self.used, self.allocations)
        };
        !before.iter().any(is_same)
    }

    /// What was taken from it since the pools were like this: its buffers are nobody's whom NumPy tells.
    pub fn sentence_since(&self, before: &[Self]) -> String {
        let former = before.iter().find(|one| one.backend == self.backend);
        let was = former.map_or(Some(0), |one| one.used);
        let more = self.used.zip(was).map(|(now, was)| now as f64 - was as f64);
        match more.filter(|more| *more != 0.0) {
            Some(more) => format!("{} ({} by this cell)", self.sentence(), change(more)),
            None => self.sentence(),
        }
    }

    /// What it holds and does not use.
    pub fn unused(&self) -> u64 {
        let unused = self.held.zip(self.used);
        unused.map_or(0, |(held, used)| held.saturating_sub(used))
    }

    /// In words.
    pub fn sentence(&self) -> String {
        let size = |size: Option<u64>| size.map_or("?".to_owned(), |size| bytes(size as f64));
        let (used, held) = (size(self.used), size(self.held));
        let text = format!("Arrow's {}: {used} used, {held} held", self.backend);
        match self.unused() {
            0 => text,
            _ => format!("{text}; {} gives back", self.give_back),
        }
    }
}

/// The pools that have been used, as pyarrow counts them; what they hold is not known yet.
pub(crate) fn used(py: Python<'_>) -> PyResult<Vec<MemoryPool>> {
    let Some(arrow) = imported(py, "pyarrow")? else {
        return Ok(Vec::new());
    };
    let default = arrow.call_method0("default_memory_pool")?;
    let default: String = default.getattr("backend_name")?.extract()?;
    let mut pools = Vec::new();
    for backend in [Backend::Mimalloc, Backend::Jemalloc] {
        let backend = backend.word();
        // A build need not have both.
        let getter = format!("{backend}_memory_pool");
        let Ok(pool) = arrow.call_method0(getter.as_str()) else {
            continue;
        };
        let most: u64 = pool.call_method0("max_memory")?.extract()?;
        if most > 0 {
            pools.push(MemoryPool {
                backend: backend.to_owned(),
                default: backend == default,
                used: pool.call_method0("bytes_allocated")?.extract().ok(),
                held: None,
                allocations: pool
                    .call_method0("num_allocations")
                    .and_then(|count| count.extract())
                    .ok(),
                give_back: format!("pyarrow.{getter}().release_unused()"),
            });
        }
    }
    Ok(pools)
}

/// Adds what is in physical memory of the parts that belong to pools. A pool of which no part was found is not known to
/// hold nothing: its allocator may be one that is not recognised.
pub(crate) fn hold(pools: &mut [MemoryPool], parts: impl Iterator<Item = PoolPart>) {
    let Ok(pages) = Pages::open() else { return };
    for part in parts {
        let present = resident(&pages, part.span);
        let backend = part.backend.word();
        for pool in pools.iter_mut().filter(|pool| pool.backend == backend) {
            pool.held = present.map(|present| pool.held.unwrap_or(0) + present);
        }
    }
}

/// The pools that have been used, with what they hold; for who has no map of the memory.
pub(crate) fn all(py: Python<'_>) -> PyResult<Vec<MemoryPool>> {
    let mut pools = used(py)?;
    if !pools.is_empty() {
        py.detach(|| -> Result<(), diaphane_sight::Error> {
            let maps = Maps::read()?;
            let mappings = PoolMappings::of(&libraries::loaded(&maps)?);
            let parts = maps
                .regions
                .iter()
                .filter_map(|region| mappings.part(region));
            hold(&mut pools, parts);
            Ok(())
        })
        .unwrap_or_default();
    }
    Ok(pools)
}
