//! The regions by one question for each, which Linux answers since 6.11: four times as fast as the list in text, since
//! the name of a file is asked for only once for all of its regions.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use super::{Region, unmarked};
use crate::proc::spans::Span;

/// The kernel's `struct procmap_query`.
#[repr(C)]
#[derive(Default)]
struct Query {
    size: u64,
    flags: u64,
    address: u64,
    start: u64,
    end: u64,
    perms: u64,
    page_size: u64,
    offset: u64,
    inode: u64,
    device: [u32; 2],
    name_size: u32,
    build_id_size: u32,
    name: u64,
    build_id: u64,
}

/// `_IOWR('f', 17, struct procmap_query)`.
const PROCMAP_QUERY: libc::c_ulong = 0xc000_6611 | (size_of::<Query>() as libc::c_ulong) << 16;
/// The region at an address, or else the next one behind it.
const COVERING_OR_NEXT: u64 = 0x10;
/// The kernel has no longer names.
const LONGEST_NAME: usize = 4096;

/// All regions but the kernel's own behind the end of user memory; `None` where the kernel cannot be asked so.
pub(super) fn all() -> Option<Vec<Region>> {
    let maps = File::open(super::MAPS).ok()?;
    let mut buffer = vec![0u8; LONGEST_NAME];
    let mut regions: Vec<Region> = Vec::new();
    let mut last_file = None;
    let mut address = 0;
    while let Some(mut found) = ask(&maps, address, None).ok()? {
        let file = (found.device, found.inode);
        let (name, deleted) = match regions.last() {
            Some(last) if found.inode != 0 && last_file == Some(file) => {
                (last.name.clone(), last.deleted)
            }
            _ => {
                found = ask(&maps, found.start, Some(&mut buffer)).ok()??;
                named(&found, &buffer)?
            }
        };
        last_file = Some((found.device, found.inode));
        address = found.end;
        regions.push(region(&found, name, deleted));
    }
    Some(regions)
}

/// The regions in which addresses lie that are given in their order; `None` where the kernel cannot be asked so.
pub(super) fn around(addresses: &[usize]) -> Option<Vec<Region>> {
    let maps = File::open(super::MAPS).ok()?;
    let mut buffer = vec![0u8; LONGEST_NAME];
    let mut regions: Vec<Region> = Vec::new();
    for &address in addresses {
        let is_known = |last: &Region| last.span.contains(address);
        if regions.last().is_some_and(is_known) {
            continue;
        }
        let found = ask(&maps, address as u64, Some(&mut buffer)).ok()?;
        if let Some(found) = found.filter(|found| found.start <= address as u64) {
            let (name, deleted) = named(&found, &buffer)?;
            regions.push(region(&found, name, deleted));
        }
    }
    Some(regions)
}

/// What the kernel wrote into the buffer.
fn named(found: &Query, buffer: &[u8]) -> Option<(Option<String>, bool)> {
    let length = (found.name_size as usize).saturating_sub(1);
    let name = String::from_utf8_lossy(buffer.get(..length)?);
    let (name, deleted) = unmarked(name.into_owned());
    Some((Some(name).filter(|name| !name.is_empty()), deleted))
}

fn region(found: &Query, name: Option<String>, deleted: bool) -> Region {
    Region {
        span: Span::new(found.start as usize, found.end as usize),
        perms: perms(found.perms),
        offset: found.offset,
        inode: found.inode,
        name,
        deleted,
    }
}

/// Asks for the region at an address or behind it; `Ok(None)` where there is none.
#[allow(unsafe_code, reason = "there is no safe form of this ioctl")]
fn ask(maps: &File, address: u64, name: Option<&mut [u8]>) -> io::Result<Option<Query>> {
    let mut query = Query {
        size: size_of::<Query>() as u64,
        flags: COVERING_OR_NEXT,
        address,
        ..Query::default()
    };
    if let Some(name) = name {
        query.name_size = u32::try_from(name.len()).unwrap_or(0);
        query.name = name.as_mut_ptr().expose_provenance() as u64;
    }
    // SAFETY: the kernel writes into `query`, whose size it checks, and at most `name_size` bytes into `name`; both
    // outlive the call.
    let answer = unsafe { libc::ioctl(maps.as_raw_fd(), PROCMAP_QUERY, &raw mut query) };
    if answer == 0 {
        return Ok(Some(query));
    }
    match io::Error::last_os_error() {
        error if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
        error => Err(error),
    }
}

fn perms(bits: u64) -> String {
    let right = |bit: u64, letter| if bits & bit == 0 { '-' } else { letter };
    let shared = if bits & 8 == 0 { 'p' } else { 's' };
    let letters = [right(1, 'r'), right(2, 'w'), right(4, 'x'), shared];
    letters.iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proc::maps::Maps;
    use crate::proc::target_process::TargetProcess;

    #[test]
    fn the_files_are_the_same_as_in_the_list() {
        let files = |regions: Vec<Region>| -> Vec<Region> {
            let files = regions.into_iter().filter(|region| region.path().is_some());
            files.collect()
        };
        let list = || files(Maps::of(TargetProcess::OWN).unwrap().regions);
        let before = list();
        // An old kernel has no such question; then there is nothing to compare.
        let Some(regions) = all() else { return };
        assert!(
            regions
                .iter()
                .any(|region| region.name.as_deref() == Some("[stack]"))
        );
        // Other tests map files meanwhile: what was there all the time counts.
        let after = list();
        let lasts = |region: &Region| before.contains(region) && after.contains(region);
        let asked: Vec<Region> = files(regions).into_iter().filter(&lasts).collect();
        let lasting: Vec<Region> = after.iter().filter(|one| lasts(one)).cloned().collect();
        assert!(asked.len() > 5);
        assert_eq!(asked, lasting);
    }
}
