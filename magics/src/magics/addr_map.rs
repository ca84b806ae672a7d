//! `%addr_map`: what lies where in the address space of this process, and how much of it is in physical memory.
//!
//! The kernel lists the regions; what each is for comes from the linker's list, the C library's own structures, and the
//! arrays that the user's variables hold.

mod arrays;
mod at;
mod changes;
mod columns;
mod diagnoses;
mod regions;
mod track;

use clap::ValueEnum;
use diaphane_sight::proc::memory_limits;
use diaphane_sight::runtimes::glibc_malloc::Malloc;
use serde_json::json;

use self::arrays::Arrays;
use self::regions::{AddressSpace, RegionRow};
use crate::error::Error;
use crate::magic::{Context, Magic, Questions};
use crate::memory::arrow_pools::{self, MemoryPool};
use diaphane_report::view::bytes;
use diaphane_report::{Bar, Part, Report, Schema, fields, rows};

/// Show what lies where in memory: libraries, arrays, stacks, malloc's arenas, mapped files.
///
/// Sizes are addresses that are taken; rss is what is in physical memory, huge what is in huge pages,
/// and pss (with --pss) the first with shared pages counted in part. An array is named where it fills most of a region; a report in a notebook has a
/// picture, in which the filled part of a box is in physical memory.
#[derive(Debug, clap::Args)]
pub(crate) struct AddrMapArgs {
    /// Add up the regions of each library or kind
    #[arg(long, value_name = "WHAT")]
    group: Option<GroupBy>,
    /// Say what lies at one address, such as 0x7f0012345678
    #[arg(long, value_name = "ADDR")]
    at: Option<String>,
    /// Show only what is different from the last time
    #[arg(long, conflicts_with = "group")]
    diff: bool,
    /// Also what is in physical memory with shared pages counted in part (slower)
    #[arg(long)]
    pss: bool,
}

/// What regions are added up by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum GroupBy {
    /// Of one library, array or thread.
    Lib,
    /// Of one kind.
    Kind,
}

/// The magic.
pub(crate) struct AddrMap;

impl Magic for AddrMap {
    const NAME: &'static str = "addr_map";
    const QUESTIONS: Questions = &[
        ("What lies where in memory?", ""),
        ("What lies at this address?", "--at 0x7f..."),
        (
            "Which regions of memory changed since the last time?",
            "--diff",
        ),
    ];
    const SCHEMA: &'static Schema = &columns::SCHEMA;
    type Args = AddrMapArgs;

    /// The next `--diff` compares with this one.
    fn only_looks(args: &AddrMapArgs) -> bool {
        !args.diff
    }

    fn run(args: &AddrMapArgs, context: &Context<'_, '_>) -> Result<Report, Error> {
        if let Some(address) = &args.at {
            return at::report(address, context.user);
        }
        let mut limits = Vec::new();
        let space = context.without_gil(|| AddressSpace::read(args.pss, &mut limits))?;
        let arrays = context
            .user
            .map(|user| Arrays::held(user, |span| space.has_room_for_arrays(span)))
            .transpose()?;
        if arrays.is_none() {
            limits.push("Python runs something else, so arrays have no names".to_owned());
        }
        let arrays = arrays.unwrap_or_default();
        let pools = context.user.map(|user| arrow_pools::used(user.py));
        let pools = pools.transpose()?.unwrap_or_default();
        context.without_gil(|| report(args, &space, &arrays, pools, limits))
    }
}

fn report(
    args: &AddrMapArgs,
    space: &AddressSpace,
    arrays: &Arrays,
    mut pools: Vec<MemoryPool>,
    mut limits: Vec<String>,
) -> Result<Report, Error> {
    let map = space.rows(arrays);
    arrow_pools::hold(&mut pools, map.iter().filter_map(|row| row.pool));
    let malloc = Malloc::read();
    let memory_limits = memory_limits::all();
    let totals = regions::totals(&map);
    // Sums are no list to compare with.
    let earlier = args
        .group
        .is_none()
        .then(|| changes::replace(&map))
        .flatten();
    let shown = match (args.diff, args.group, earlier) {
        (true, _, Some(earlier)) => rows(changes::between(&earlier, &map))?,
        (true, _, None) => {
            limits.push(
                "there was no earlier %addr_map to compare with; the next one compares with this"
                    .into(),
            );
            Vec::new()
        }
        (false, Some(GroupBy::Kind), _) => rows(&totals)?,
        (false, Some(GroupBy::Lib), _) => rows(regions::by_owner(&map))?,
        (false, None, _) => rows(&map)?,
    };
    // A picture of sums would be the same again.
    let is_map = !args.diff && args.group.is_none();
    let parts = regions::parts(&totals);
    let malloc_facts = malloc.as_ref().map(|malloc| {
        json!({"arena": malloc.system(), "in_use": malloc.system().saturating_sub(malloc.free()),
            "free": malloc.free(), "mmap": malloc.mapped, "arenas": malloc.arenas})
    });
    Ok(Report {
        name: AddrMap::NAME,
        columns: columns::COLUMNS,
        rows: shown,
        chart: is_map.then(|| track::draw(&map, &parts)),
        bars: if args.diff {
            Vec::new()
        } else {
            vec![bar(&parts)]
        },
        summary: summary(&map, malloc.as_ref(), &pools),
        diagnoses: diagnoses::all(&map, malloc.as_ref(), &pools, &memory_limits),
        facts: fields(
            json!({"totals": totals, "malloc": malloc_facts, "pools": pools,
            "limits_of_memory": memory_limits, "max_map_count": memory_limits::regions()}),
        )?,
        limits,
        ..Report::default()
    })
}

/// What the physical memory is taken by, in the colours of the picture.
fn bar(parts: &[(&'static str, u64)]) -> Bar {
    let part = |&(name, amount): &(&str, u64)| Part {
        name: name.to_owned(),
        words: bytes(amount as f64),
        amount: amount as f64,
    };
    Bar {
        title: "in memory".to_owned(),
        parts: parts.iter().map(part).collect(),
    }
}

/// How much is in physical memory, and what allocators keep of it.
fn summary(all: &[RegionRow], malloc: Option<&Malloc>, pools: &[MemoryPool]) -> Vec<String> {
    let is_taken = |row: &&RegionRow| row.kind != "reserved";
    let size: usize = all.iter().filter(is_taken).map(|row| row.size).sum();
    let rss: Option<u64> = all.iter().map(|row| row.rss).sum();
    let (size, count) = (bytes(size as f64), all.len());
    let first = match rss {
        Some(rss) => format!(
            "{} in physical memory; {size} of addresses are taken, in {count} regions",
            bytes(rss as f64)
        ),
        None => format!("{size} of addresses are taken, in {count} regions"),
    };
    let second = malloc.map(|malloc| {
        let (system, free) = (malloc.system() as f64, malloc.free() as f64);
        let large = format!(
            "{} large blocks take {}",
            malloc.mapped_blocks,
            bytes(malloc.mapped as f64)
        );
        format!(
            "malloc: {} arenas hold {}, {} of it free; {large}",
            malloc.arenas.len(),
            bytes(system),
            bytes(free)
        )
    });
    let pools = pools.iter().map(MemoryPool::sentence);
    std::iter::once(first).chain(second).chain(pools).collect()
}
