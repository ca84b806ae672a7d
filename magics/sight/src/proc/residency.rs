//! How much of each region is in physical memory, shared, swapped out or in huge pages.
//!
//! The page table tells it, where the kernel scans it for us. Only `/proc/self/smaps` knows what is shared with other
//! processes; the kernel counts the users of every page for it, which takes several times as long.

use serde::Serialize;

use crate::error::{Result, read};
use crate::proc::maps::{Maps, Region, region};
use crate::proc::pages::Pages;
use crate::proc::spans::Span;

/// What the kernel counts for one region, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct RegionUsage {
    /// In physical memory.
    pub rss: u64,
    /// The same, where each page counts for its part if several processes share it; `None` where that was not asked.
    pub pss: Option<u64>,
    /// Swapped out.
    pub swap: u64,
    /// In huge pages.
    pub huge: u64,
}

/// The regions of this process with their usage, and with what is shared if that is asked for.
pub fn usage(shares: bool) -> Result<(Maps, Vec<RegionUsage>)> {
    if !shares && let Some(pages) = Pages::open().ok().filter(Pages::knows_huge) {
        let maps = Maps::read()?;
        let usages = maps.regions.iter().map(|region| scanned(&pages, region));
        let usages = usages.collect();
        return Ok((maps, usages));
    }
    let text = read("/proc/self/smaps")?;
    Ok(parse(&String::from_utf8_lossy(&text)))
}

/// How much of a span is in physical memory, as `smaps` counts: the page of zeros is nobody's.
pub fn resident(pages: &Pages, span: Span) -> Option<u64> {
    let backing = pages.of(span).ok()?;
    Some((backing.present - backing.zero.unwrap_or(0)) as u64)
}

fn scanned(pages: &Pages, region: &Region) -> RegionUsage {
    // The kernel's clock is mapped without being memory of this process, and the page of old system calls lies beyond.
    let is_memory = !region
        .name
        .as_deref()
        .is_some_and(|name| name.starts_with("[v"));
    let backing = is_memory.then(|| pages.of(region.span).ok()).flatten();
    let backing = backing.unwrap_or_default();
    RegionUsage {
        rss: (backing.present - backing.zero.unwrap_or(0)) as u64,
        pss: None,
        swap: backing.swapped as u64,
        huge: backing.huge.unwrap_or(0) as u64,
    }
}

fn parse(text: &str) -> (Maps, Vec<RegionUsage>) {
    let mut maps = Maps::default();
    let mut usages: Vec<RegionUsage> = Vec::new();
    for line in text.lines() {
        // The head of a region begins with an address, the fields below it with a capital letter.
        if line.starts_with(|first: char| first.is_ascii_uppercase()) {
            if let Some(usage) = usages.last_mut() {
                count(usage, line);
            }
        } else if let Some(region) = region(line) {
            maps.regions.push(region);
            usages.push(RegionUsage::default());
        }
    }
    (maps, usages)
}

fn count(usage: &mut RegionUsage, line: &str) {
    let Some((name, value)) = line.split_once(':') else {
        return;
    };
    let field = match name {
        "Rss" => &mut usage.rss,
        "Pss" => usage.pss.get_or_insert_default(),
        "Swap" => &mut usage.swap,
        "AnonHugePages" | "ShmemPmdMapped" | "FilePmdMapped" => &mut usage.huge,
        _ => return,
    };
    let kib = value
        .trim()
        .strip_suffix(" kB")
        .and_then(|number| number.parse::<u64>().ok());
    *field += kib.unwrap_or(0) * 1024;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_belong_to_the_region_above_them() {
        let (maps, usages) = parse(
            "7f0000000000-7f0000003000 rw-p 00000000 00:00 0 \n\
             Size:                 12 kB\nRss:                   8 kB\nPss:                   4 kB\n\
             Pss_Dirty:             4 kB\nAnonHugePages:      2048 kB\nFilePmdMapped:         1 kB\n\
             Swap:                  4 kB\nSwapPss:               4 kB\nVmFlags: rd wr\n\
             7f0000003000-7f0000004000 ---p 00000000 00:00 0 \nRss:                   0 kB\n",
        );
        assert_eq!(maps.regions.len(), 2);
        let first = RegionUsage {
            rss: 8192,
            pss: Some(4096),
            swap: 4096,
            huge: 2049 * 1024,
        };
        assert_eq!(usages, [first, RegionUsage::default()]);
    }

    #[test]
    fn written_pages_are_counted_both_ways() {
        let pages = vec![1u8; 64 * 4096];
        for shares in [false, true] {
            let (maps, usages) = usage(shares).unwrap();
            let at = maps
                .regions
                .iter()
                .position(|region| region.span.contains(pages.as_ptr().addr()))
                .unwrap();
            assert!(usages[at].rss >= 63 * 4096, "{:?}", usages[at]);
            assert!(usages.iter().all(|usage| usage.pss <= Some(usage.rss)));
            assert!(!shares || usages[at].pss.is_some());
        }
    }
}
