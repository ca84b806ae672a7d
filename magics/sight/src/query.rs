//! The region at one address, asked of the kernel without listing all of them.
//!
//! Linux answers since 6.11; before, the list is read.

use std::fs::File;
use std::os::fd::AsRawFd;

use crate::Result;
use crate::maps::{Maps, Region};
use crate::spans::Span;

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

/// The region in which an address lies, alone in its list; empty if nothing is mapped there.
pub fn at(address: usize) -> Result<Maps> {
    let found = match ask(address) {
        // The page of old system calls is in the list and belongs to no process, so the query does not know it.
        Some(None) if address.cast_signed() < 0 => Maps::read()?.find(address).cloned(),
        Some(found) => found,
        None => Maps::read()?.find(address).cloned(),
    };
    Ok(Maps {
        regions: found.into_iter().collect(),
    })
}

/// Asks the kernel. The outer `None` means that it cannot be asked, the inner one that nothing is there.
#[allow(unsafe_code, reason = "there is no safe form of this ioctl")]
fn ask(address: usize) -> Option<Option<Region>> {
    let mut name = [0u8; 4096];
    let maps = File::open("/proc/self/maps").ok()?;
    let mut query = Query {
        size: size_of::<Query>() as u64,
        address: address as u64,
        name_size: u32::try_from(name.len()).ok()?,
        name: name.as_mut_ptr().expose_provenance() as u64,
        ..Query::default()
    };
    // SAFETY: the kernel writes into `query`, whose size it checks, and at most `name_size` bytes into `name`; both
    // outlive the call.
    let answer = unsafe { libc::ioctl(maps.as_raw_fd(), PROCMAP_QUERY, &raw mut query) };
    if answer != 0 {
        let nothing = std::io::Error::last_os_error().raw_os_error() == Some(libc::ENOENT);
        return nothing.then_some(None);
    }
    let length = (query.name_size as usize).saturating_sub(1);
    let text = String::from_utf8_lossy(name.get(..length)?).into_owned();
    Some(Some(region(&query, text)?))
}

fn region(query: &Query, text: String) -> Option<Region> {
    let right = |bit: u64, letter| if query.perms & bit == 0 { '-' } else { letter };
    let shared = if query.perms & 8 == 0 { 'p' } else { 's' };
    let (name, deleted) = match text.strip_suffix(" (deleted)") {
        Some(gone) if !std::path::Path::new(&text).exists() => (gone.to_owned(), true),
        _ => (text, false),
    };
    Some(Region {
        span: Span::new(
            usize::try_from(query.start).ok()?,
            usize::try_from(query.end).ok()?,
        ),
        perms: [right(1, 'r'), right(2, 'w'), right(4, 'x'), shared]
            .iter()
            .collect(),
        offset: query.offset,
        inode: query.inode,
        name: Some(name).filter(|name| !name.is_empty()),
        deleted,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_region_is_the_same_as_in_the_list() {
        let local = 0u8;
        let places = [
            (&raw const local).addr(),
            one_region_is_the_same_as_in_the_list as *const () as usize,
        ];
        let maps = Maps::read().unwrap();
        for address in places {
            assert_eq!(at(address).unwrap().regions.first(), maps.find(address));
        }
        assert!(at(8).unwrap().regions.is_empty());
    }
}
