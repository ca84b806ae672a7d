//! What is remarkable about the address space.

use diaphane_sight::proc::memory_limits;
use diaphane_sight::proc::memory_limits::MemoryLimit;
use diaphane_sight::runtimes::glibc_malloc::{Arena, Malloc};

use super::regions::RegionRow;
use crate::memory::arrow_pools::MemoryPool;
use diaphane_report::view::bytes;
use diaphane_report::{Diagnosis, Severity};

/// Less than this is not worth giving back.
const WORTH: u64 = 64 << 20;
/// So many arenas are made only by threads that run at the same time.
const MANY_ARENAS: usize = 8;

/// All diagnoses.
pub(super) fn all(
    rows: &[RegionRow],
    malloc: Option<&Malloc>,
    pools: &[MemoryPool],
    memory_limits: &[MemoryLimit],
) -> Vec<Diagnosis> {
    let of_malloc = malloc
        .into_iter()
        .flat_map(|malloc| [free(rows, malloc), arenas(rows, malloc)]);
    let mut found: Vec<Diagnosis> = of_malloc.flatten().collect();
    found.extend(writable_code(rows));
    found.extend(memory_limits.iter().filter_map(near));
    found.extend(regions(rows.len()));
    found.extend(pools.iter().filter_map(unused));
    found
}

/// What lies in physical memory in regions of some kinds.
fn present(rows: &[RegionRow], kinds: &[&str]) -> Option<u64> {
    rows.iter()
        .filter(|row| kinds.contains(&row.kind))
        .map(|row| row.rss)
        .sum()
}

/// What arenas hold free and present: all that is present, but for what is in use, which may be present or not.
fn surely_free(present: u64, arenas: &[Arena]) -> u64 {
    let in_use: u64 = arenas
        .iter()
        .map(|arena| arena.system.saturating_sub(arena.free))
        .sum();
    present.saturating_sub(in_use)
}

/// A001: memory that was freed and that malloc has not given back.
fn free(rows: &[RegionRow], malloc: &Malloc) -> Option<Diagnosis> {
    let present = present(rows, &["heap", "thread arena"])?;
    let free = surely_free(present, &malloc.arenas).min(malloc.free());
    (free >= WORTH).then(|| Diagnosis {
        code: "A001",
        severity: Severity::Info,
        title: format!("{} are free inside malloc's arenas and still in physical memory.", bytes(free as f64)),
        evidence: vec![
            format!("arenas in physical memory: {}", bytes(present as f64)),
            format!("free by malloc's own count: {}", bytes(malloc.free() as f64)),
        ],
        fix: "import ctypes; ctypes.CDLL(None).malloc_trim(0) gives whole free pages back to the system.".into(),
    })
}

/// A006: memory that Arrow's tables had, and that its pool has not given back.
fn unused(pool: &MemoryPool) -> Option<Diagnosis> {
    let size = |size: Option<u64>| bytes(size.unwrap_or(0) as f64);
    (pool.unused() >= WORTH).then(|| Diagnosis {
        code: "A006",
        severity: Severity::Info,
        title: format!(
            "Arrow's {} keeps {} in physical memory that no table uses.",
            pool.backend,
            size(Some(pool.unused()))
        ),
        evidence: vec![
            format!("held: {}", size(pool.held)),
            format!("used by Arrow's count: {}", size(pool.used)),
        ],
        fix: format!(
            "{} gives whole free pages back to the system.",
            pool.give_back
        ),
    })
}

/// A002: threads made arenas that nobody needs any more.
fn arenas(rows: &[RegionRow], malloc: &Malloc) -> Option<Diagnosis> {
    let others = malloc
        .arenas
        .get(1..)
        .filter(|_| malloc.arenas.len() >= MANY_ARENAS)?;
    let present = present(rows, &["thread arena"])?;
    let free = surely_free(present, others).min(others.iter().map(|arena| arena.free).sum());
    (free >= WORTH / 2).then(|| Diagnosis {
        code: "A002",
        severity: Severity::Info,
        title: format!(
            "malloc keeps {} arenas for threads, and {} in them are free.",
            others.len(),
            bytes(free as f64)
        ),
        evidence: others
            .iter()
            .enumerate()
            .map(|(index, arena)| {
                format!(
                    "arena {}: {} taken, {} free",
                    index + 1,
                    bytes(arena.system as f64),
                    bytes(arena.free as f64)
                )
            })
            .collect(),
        fix: "Start the kernel with MALLOC_ARENA_MAX=2 if threads need memory only for a while."
            .into(),
    })
}

/// A003: what can be written can be run.
fn writable_code(rows: &[RegionRow]) -> Option<Diagnosis> {
    let open = |row: &&RegionRow| row.perms.contains('w') && row.perms.contains('x');
    let found: Vec<&RegionRow> = rows.iter().filter(open).collect();
    let size: usize = found.iter().map(|row| row.size).sum();
    let many = match found.len() {
        1 => "one region".to_owned(),
        count => format!("{count} regions"),
    };
    (!found.is_empty()).then(|| Diagnosis {
        code: "A003",
        severity: Severity::Warn,
        title: format!("{} ({}) can be written and run at the same time.", many, bytes(size as f64)),
        evidence: found.iter().take(10).map(|row| {
            let name = row.owner.as_deref().or(row.name.as_deref()).unwrap_or("anonymous memory");
            format!("{:#x}-{:#x} {} {name}", row.lo.0, row.hi.0, row.perms)
        }).collect(),
        fix: "A stray write there becomes code: whoever maps it should write first and make it executable after.".into(),
    })
}

/// A004: little is left of a limit.
fn near(memory_limit: &MemoryLimit) -> Option<Diagnosis> {
    let left = memory_limit.limit.saturating_sub(memory_limit.used);
    (left <= memory_limit.limit / 10).then(|| Diagnosis {
        code: "A004",
        severity: Severity::Warn,
        title: format!("{} are left of {} that {} allows.", bytes(left as f64), bytes(memory_limit.limit as f64), memory_limit.name),
        evidence: vec![format!("used: {} bytes", memory_limit.used), format!("limit: {} bytes", memory_limit.limit)],
        fix: "Free what is not needed, or raise the limit: beyond it, allocations fail or the kernel is killed.".into(),
    })
}

/// A005: the kernel allows so many regions and no more.
fn regions(count: usize) -> Option<Diagnosis> {
    let most = memory_limits::regions().filter(|most| count > most / 2)?;
    Some(Diagnosis {
        code: "A005",
        severity: Severity::Warn,
        title: format!("{count} regions are more than half of the {most} that the system allows."),
        evidence: vec![format!("/proc/sys/vm/max_map_count: {most}")],
        fix: "Beyond it, mmap fails even where memory is free: map larger pieces, or ask for a higher vm.max_map_count.".into(),
    })
}
