//! The versions of symbols: those that an image defines, and those that it demands of the libraries it needs.

use object::elf::{self, DynamicTag};
use object::{NativeEndian as Native, pod::Pod};
use serde::Serialize;

use crate::elf::image::Image;

/// More are not read: no linker writes so many, and a damaged chain could be without end.
const MOST: usize = 4096;

/// What an image demands of one library.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Demand {
    /// The soname of the library.
    pub library: String,
    /// The versions that it must define.
    pub versions: Vec<String>,
}

impl Image {
    pub(super) fn defined_versions(&self) -> Vec<String> {
        let entries = self.chain::<elf::Verdef<Native>>(elf::DT_VERDEF, |entry| {
            entry.vd_next.get(Native) as usize
        });
        let named = entries.filter(|(_, entry)| entry.vd_ndx.get(Native).0 != 1);
        named
            .filter_map(|(at, entry)| self.defined_name(at, &entry))
            .collect()
    }

    /// The version of a symbol of that index in the image's table.
    pub(super) fn version_of(&self, symbol: u32) -> Option<String> {
        let table = self.address(elf::DT_VERSYM)?;
        let entry: u16 = self.load(table + symbol as usize * size_of::<u16>())?;
        // The highest bit hides a version from those who name none; 0 and 1 stand for no version.
        let wanted = entry & 0x7fff;
        (wanted > 1).then(|| self.version_named(wanted)).flatten()
    }

    fn version_named(&self, wanted: u16) -> Option<String> {
        let mut defined = self.chain::<elf::Verdef<Native>>(elf::DT_VERDEF, |entry| {
            entry.vd_next.get(Native) as usize
        });
        let found = defined.find(|(_, entry)| entry.vd_ndx.get(Native).0 == wanted);
        if let Some((at, entry)) = found {
            return self.defined_name(at, &entry);
        }
        let needs = self.chain::<elf::Verneed<Native>>(elf::DT_VERNEED, |entry| {
            entry.vn_next.get(Native) as usize
        });
        needs
            .flat_map(|(at, entry)| self.demanded(at, &entry))
            .find(|entry| entry.vna_other.get(Native).0 & 0x7fff == wanted)
            .and_then(|entry| self.string(entry.vna_name.get(Native) as usize))
    }

    pub(super) fn demanded_versions(&self) -> Vec<Demand> {
        let entries = self.chain::<elf::Verneed<Native>>(elf::DT_VERNEED, |entry| {
            entry.vn_next.get(Native) as usize
        });
        let demand = |(at, entry): (usize, elf::Verneed<Native>)| {
            let versions = self.demanded(at, &entry).into_iter();
            Some(Demand {
                library: self.string(entry.vn_file.get(Native) as usize)?,
                versions: versions
                    .filter_map(|entry| self.string(entry.vna_name.get(Native) as usize))
                    .collect(),
            })
        };
        entries.filter_map(demand).collect()
    }

    fn defined_name(&self, at: usize, entry: &elf::Verdef<Native>) -> Option<String> {
        let first: elf::Verdaux<Native> = self.load(at + entry.vd_aux.get(Native) as usize)?;
        self.string(first.vda_name.get(Native) as usize)
    }

    fn demanded(&self, at: usize, entry: &elf::Verneed<Native>) -> Vec<elf::Vernaux<Native>> {
        let first = at + entry.vn_aux.get(Native) as usize;
        let next = |entry: &elf::Vernaux<Native>| entry.vna_next.get(Native) as usize;
        self.follow(first, next).map(|(_, entry)| entry).collect()
    }

    /// The entries of a table that a tag points to, each with its address.
    fn chain<T: Pod>(
        &self,
        tag: DynamicTag,
        next: fn(&T) -> usize,
    ) -> impl Iterator<Item = (usize, T)> {
        let first = self.address(tag);
        first.into_iter().flat_map(move |at| self.follow(at, next))
    }

    /// Entries that each say how far away the next one is.
    fn follow<T: Pod>(
        &self,
        first: usize,
        next: impl Fn(&T) -> usize,
    ) -> impl Iterator<Item = (usize, T)> {
        let mut place = Some(first);
        let entries = std::iter::from_fn(move || {
            let at = place?;
            let entry: T = self.load(at)?;
            place = Some(next(&entry))
                .filter(|&distance| distance > 0)
                .map(|distance| at + distance);
            Some((at, entry))
        });
        entries.take(MOST)
    }
}
