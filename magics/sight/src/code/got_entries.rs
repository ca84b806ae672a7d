//! What a library's calls to other libraries are bound to: the entries of its global offset table.
//!
//! The dynamic linker writes into each entry the address it found for a name. For a name that stands for several
//! implementations (`IFUNC`), only the entries tell which of them this process uses.

use object::NativeEndian as Native;
use object::elf::{self, DynamicTag};
use object::pod::Pod;

use crate::arch::relocations::{BY_NAME, JUMP};
use crate::elf::image::Image;
use crate::linker::libraries::Library;
use crate::proc::spans::bytes;

/// An entry and the name it was filled for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GotEntry {
    /// The name.
    pub name: String,
    /// Where the entry lies.
    pub address: usize,
    /// What is in it: the address that calls go to.
    pub value: usize,
    /// Whether nothing but calls goes through it (`JUMP_SLOT`); others may hold an address that code compares.
    pub jump: bool,
}

/// The entries of a library that were filled by name. Tables are read as a whole, since there are thousands of entries.
pub fn entries(library: &Library) -> Vec<GotEntry> {
    of_image(&library.image)
}

/// The same for an image.
pub fn of_image(image: &Image) -> Vec<GotEntry> {
    let entry = size_of::<elf::Rela64<Native>>();
    let relocations =
        |start: DynamicTag, size: DynamicTag, skipped: usize| -> Vec<elf::Rela64<Native>> {
            let skipped = skipped.saturating_mul(entry);
            let read = || {
                Some(items(
                    image.address(start)? + skipped,
                    image.tag(size)?.checked_sub(skipped)?,
                ))
            };
            read().unwrap_or_default()
        };
    let mut found = relocations(elf::DT_JMPREL, elf::DT_PLTRELSZ, 0);
    // The many that need no name come first, and their number is told.
    let plain = image.tag(elf::DT_RELACOUNT).unwrap_or(0);
    found.extend(relocations(elf::DT_RELA, elf::DT_RELASZ, plain));
    found.retain(|one| BY_NAME.contains(&one.r_type(Native, false)));
    let read = || {
        let places = found
            .iter()
            .map(|one| image.bias().wrapping_add(one.r_offset.get(Native) as usize));
        let (first, last) = (places.clone().min()?, places.clone().max()?);
        let values: Vec<u64> = items(first, last - first + size_of::<u64>());
        let names = image.names(found.iter().map(|one| one.r_sym(Native, false) as usize))?;
        let jumps = found.iter().map(|one| one.r_type(Native, false) == JUMP);
        let entry = |((address, name), jump): ((usize, Option<String>), bool)| {
            let value = *values.get((address - first) / size_of::<u64>())? as usize;
            Some(GotEntry {
                name: name?,
                address,
                value,
                jump,
            })
        };
        Some(places.zip(names).zip(jumps).filter_map(entry).collect())
    };
    read().unwrap_or_default()
}

/// Whether a name of a library stands for one of several implementations, chosen when it is bound.
pub fn is_indirect(name: &str, library: &Library) -> bool {
    let symbols = library.image.symbols(name);
    symbols
        .iter()
        .any(|symbol| symbol.st_type() == elf::STT_GNU_IFUNC)
}

/// The implementations of an indirect name that libraries are bound to, each with the libraries that use it.
pub fn bound<'a>(
    name: &str,
    owner: &Library,
    libraries: &'a [Library],
) -> Vec<(usize, Vec<&'a str>)> {
    let mut found: Vec<(usize, Vec<&str>)> = Vec::new();
    for library in libraries {
        // An entry that was not used yet still leads back into its own library.
        let filled = entries(library)
            .into_iter()
            .filter(|entry| entry.name == name && owner.span.contains(entry.value));
        for entry in filled {
            match found.iter_mut().find(|(value, _)| *value == entry.value) {
                Some((_, users)) if users.contains(&library.name.as_str()) => {}
                Some((_, users)) => users.push(&library.name),
                None => found.push((entry.value, vec![&library.name])),
            }
        }
    }
    found
}

fn items<T: Pod>(start: usize, size: usize) -> Vec<T> {
    let raw = bytes(start, size);
    object::pod::slice_from_bytes(&raw, raw.len() / size_of::<T>())
        .map(|(items, _)| items.to_vec())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linker::libraries;
    use crate::proc::maps::Maps;

    #[test]
    fn the_slot_of_a_function_leads_to_it() {
        let libraries = libraries::loaded(&Maps::read().unwrap()).unwrap();
        let entries = entries(&libraries[0]);
        let entry = entries
            .iter()
            .find(|entry| entry.name == "dl_iterate_phdr")
            .unwrap();
        assert_eq!(entry.value, libc::dl_iterate_phdr as *const () as usize);
    }

    #[test]
    fn an_indirect_function_is_bound_to_an_implementation() {
        let libraries = libraries::loaded(&Maps::read().unwrap()).unwrap();
        let libc = libraries
            .iter()
            .find(|library| library.name.starts_with("libc.so"))
            .unwrap();
        assert!(is_indirect("memcpy", libc) && !is_indirect("malloc", libc));
        let bound = bound("memcpy", libc, &libraries);
        assert!(
            bound
                .iter()
                .any(|(_, users)| users.contains(&libraries[0].name.as_str())),
            "{bound:?}"
        );
    }
}
