//! What is remarkable about how buffers are backed; only `--pages` looks at it.

use diaphane_sight::proc::pages;

use super::super::Listed;
use super::{LARGE, names};
use diaphane_report::view::bytes;
use diaphane_report::{Diagnosis, Severity};

/// From this size on NumPy asks for huge pages.
const HUGE: usize = 4 << 20;

pub(super) fn all(listed: &[Listed<'_>]) -> impl Iterator<Item = Diagnosis> {
    let looked_at: Vec<&Listed<'_>> = listed
        .iter()
        .filter(|one| one.backed.backing.is_some())
        .collect();
    [
        unaligned(&looked_at),
        untouched(&looked_at),
        without_huge_pages(&looked_at),
    ]
    .into_iter()
    .flatten()
}

/// Large arrays that do not begin at a cache line.
fn unaligned(listed: &[&Listed<'_>]) -> Option<Diagnosis> {
    let is_unaligned = |one: &&&Listed<'_>| {
        one.owner.is_self
            && one.layout().is_some_and(|layout| {
                layout.listed() >= LARGE && !layout.address.is_multiple_of(64)
            })
    };
    let found: Vec<&Listed<'_>> = listed.iter().filter(is_unaligned).copied().collect();
    let verb = if found.len() > 1 { "do" } else { "does" };
    (!found.is_empty()).then(|| Diagnosis {
        code: "B002",
        severity: Severity::Info,
        title: format!(
            "{} {verb} not begin at a multiple of 64 bytes.",
            names(&found)
        ),
        evidence: found.iter().map(|one| remainder(one)).collect(),
        fix: "This rarely costs anything; code that insists needs memory of its own, such as a slice of a larger array."
            .into(),
    })
}

fn remainder(one: &Listed<'_>) -> String {
    let address = one.layout().map_or(0, |layout| layout.address);
    format!(
        "{}: {address:#x} is {} bytes behind a multiple of 64",
        one.name,
        address % 64
    )
}

/// Buffers of which most was never written.
fn untouched(listed: &[&Listed<'_>]) -> Option<Diagnosis> {
    let written = |one: &Listed<'_>| {
        let backing = one.backed.backing?;
        Some(backing.present - backing.zero.unwrap_or(0) + backing.swapped)
    };
    let size = |one: &Listed<'_>| one.bounds().map_or(0, |span| span.len());
    let is_untouched = |one: &&&Listed<'_>| {
        size(one) >= LARGE && written(one).is_some_and(|written| written * 2 < size(one))
    };
    let found: Vec<&Listed<'_>> = listed.iter().filter(is_untouched).copied().collect();
    let total: usize = found.iter().map(|one| size(one)).sum();
    let there: usize = found.iter().filter_map(|one| written(one)).sum();
    (!found.is_empty()).then(|| Diagnosis {
        code: "B007",
        severity: Severity::Info,
        title: format!(
            "Of {} ({}) only {} were ever written.",
            names(&found),
            bytes(total as f64),
            bytes(there as f64)
        ),
        evidence: found
            .iter()
            .map(|one| {
                let there = bytes(written(one).unwrap_or(0) as f64);
                format!("{}: {there} of {}", one.name, bytes(size(one) as f64))
            })
            .collect(),
        fix: "The rest takes no memory yet; the first write to each page will take the time to get it.".into(),
    })
}

/// Large buffers in small pages, on a machine that gives huge ones.
fn without_huge_pages(listed: &[&Listed<'_>]) -> Option<Diagnosis> {
    let is_small = |one: &&&Listed<'_>| {
        let backing = one.backed.backing.unwrap_or_default();
        let is_plain = matches!(one.mapping.as_deref(), Some("anonymous" | "heap"));
        is_plain && backing.huge == Some(0) && backing.present >= HUGE
    };
    let found: Vec<&Listed<'_>> = listed.iter().filter(is_small).copied().collect();
    let policy = pages::huge_page_policy().filter(|policy| policy != "never");
    policy.filter(|_| !found.is_empty()).map(|policy| Diagnosis {
        code: "B008",
        severity: Severity::Info,
        title: format!(
            "{} of 4 MiB and more in no huge page, though this machine gives them.",
            names(&found)
        ),
        evidence: found
            .iter()
            .map(|one| {
                let present = one.backed.backing.unwrap_or_default().present;
                format!("{}: {} in small pages", one.name, bytes(present as f64))
            })
            .chain([format!("/sys/kernel/mm/transparent_hugepage/enabled: {policy}")])
            .collect(),
        fix: "NumPy asks for them unless NUMPY_MADVISE_HUGEPAGE=0; other memory needs madvise(MADV_HUGEPAGE) before the first write."
            .into(),
    })
}
