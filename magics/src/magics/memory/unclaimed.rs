//! What is neither a variable's nor a package's: what the kernel's code holds, what allocators keep free, files, stacks, and
//! what is left.

use diaphane_sight::own_memory;
use diaphane_sight::runtimes::glibc_malloc::Malloc;

use super::by_region::{Pot, Pots};
use super::rows::{FILES, FREE, KERNEL, LIBRARIES, MemoryRow, STACKS, UNKNOWN};
use crate::memory::arrow_pools;

/// What the kernel's own code holds: tables of names, lines and call frames, and messages.
pub(super) fn own_data() -> MemoryRow {
    let held = own_memory::held() as u64;
    MemoryRow {
        what: "diaphane's own data".into(),
        kind: KERNEL,
        rss: held.cast_signed(),
        size: Some(held),
        give_back: Some("no".into()),
        ..MemoryRow::default()
    }
}

/// What malloc keeps for later.
pub(super) fn malloc(pots: &Pots, malloc: Option<&Malloc>) -> Option<MemoryRow> {
    let malloc = malloc?;
    // What is in use is taken to be in physical memory; of the free parts, the rest of it is.
    let used = malloc.system().saturating_sub(malloc.free());
    let present = pots.of_malloc().saturating_sub(used).min(malloc.free());
    Some(MemoryRow {
        what: "malloc".into(),
        kind: FREE,
        rss: present.cast_signed(),
        size: Some(malloc.free()),
        give_back: Some("ctypes.CDLL(None).malloc_trim(0)".into()),
        ..MemoryRow::default()
    })
}

/// What allocators keep for later.
pub(super) fn free(
    pots: &Pots,
    malloc: Option<&Malloc>,
    pools: &[arrow_pools::MemoryPool],
) -> Vec<MemoryRow> {
    let malloc = self::malloc(pots, malloc);
    let pools = pools
        .iter()
        .filter(|pool| pool.unused() > 0)
        .map(|pool| MemoryRow {
            what: format!("Arrow's {}", pool.backend),
            kind: FREE,
            rss: pool.unused().cast_signed(),
            size: Some(pool.unused()),
            give_back: Some(pool.give_back.clone()),
            ..MemoryRow::default()
        });
    malloc.into_iter().chain(pools).collect()
}

/// What is no object's: files, stacks, and what is left of the rest.
pub(super) fn rest(pots: &Pots, claimed: &[MemoryRow], in_files: u64) -> Vec<MemoryRow> {
    let row = |what: &str, kind, rss: i64, give_back: Option<&str>| MemoryRow {
        what: what.to_owned(),
        kind,
        rss,
        give_back: give_back.map(str::to_owned),
        ..MemoryRow::default()
    };
    let of_pot = |pot| pots.of(pot).cast_signed();
    let claimed: i64 = claimed.iter().map(|row| row.rss).sum();
    let left = of_pot(Pot::Private) + in_files.cast_signed() - claimed;
    let unknown = match left {
        0.. => "the rest",
        _ => "counted above, though it is not in physical memory",
    };
    let mut rows = vec![
        row(
            "libraries' code and data",
            LIBRARIES,
            of_pot(Pot::Libraries),
            Some("no"),
        ),
        row(
            "mapped files and shared memory",
            FILES,
            of_pot(Pot::Files) - in_files.cast_signed(),
            Some("Linux takes it by itself"),
        ),
        row(
            "stacks of threads",
            STACKS,
            of_pot(Pot::Stacks),
            Some("no, while their threads live"),
        ),
        row("Linux's own pages", FILES, of_pot(Pot::Linux), None),
        row(unknown, UNKNOWN, left, None),
    ];
    rows.retain(|row| row.rss != 0);
    rows
}
