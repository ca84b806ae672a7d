//! Symbols by name: what an image exports, what it takes from others, and where these were found.

use object::NativeEndian as Native;
use object::elf::{self, Rela64, Sym64};

use crate::elf::image::{Image, slice_of};

/// A definition of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// Where it lies in memory; of an indirect function it is the one that chooses.
    pub address: usize,
    /// Its version.
    pub version: Option<String>,
    /// Whether it is there only where nobody else defines the name.
    pub is_weak: bool,
    /// What the linker filled in where the image itself uses the name through its tables, which may be another's.
    pub targets: Vec<usize>,
}

/// A use of a name that another image defines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// The version that is asked for.
    pub version: Option<String>,
    /// Whether it may be missing.
    pub is_weak: bool,
    /// The addresses that the linker filled in, one for each place that it writes them to; 0 where it found none.
    pub targets: Vec<usize>,
}

impl Image {
    /// The definitions of a name, one for each version.
    pub fn export(&self, name: &str) -> Vec<Export> {
        let found = self.find(name).unwrap_or_default().into_iter();
        let export = |index| {
            let symbol = self.symbol(index)?;
            Some(Export {
                address: self.bias.wrapping_add(symbol.st_value.get(Native) as usize),
                version: self.version_of(index),
                is_weak: symbol.st_bind() == elf::STB_WEAK,
                targets: self.targets(index),
            })
        };
        found.filter_map(export).collect()
    }

    /// The use of a name, if the image takes it from others.
    pub fn import(&self, name: &str) -> Option<Import> {
        let symbols = self.undefined();
        let strings = self.address(elf::DT_STRTAB)?;
        let strings = self.target.bytes(strings, self.tag(elf::DT_STRSZ)?);
        let is_named = |symbol: &Sym64<Native>| {
            let text = strings.get(symbol.st_name.get(Native) as usize..);
            text.and_then(|text| text.strip_prefix(name.as_bytes()))
                .is_some_and(|rest| rest.first() == Some(&0))
        };
        let is_taken = |symbol: &Sym64<Native>| {
            symbol.st_shndx.get(Native) == elf::SHN_UNDEF && is_named(symbol)
        };
        let index = symbols.iter().position(is_taken)?;
        let number = u32::try_from(index).ok()?;
        Some(Import {
            version: self.version_of(number),
            is_weak: symbols[index].st_bind() == elf::STB_WEAK,
            targets: self.targets(number),
        })
    }

    /// The names before the first one of the hash table, which holds definitions only.
    fn undefined(&self) -> Vec<Sym64<Native>> {
        let first_defined = || {
            let header: elf::GnuHashHeader<Native> = self.load(self.address(elf::DT_GNU_HASH)?)?;
            Some(header.symbol_base.get(Native) as usize)
        };
        let table = self.address(elf::DT_SYMTAB).zip(first_defined());
        table
            .map(|(table, count)| {
                slice_of(
                    &self
                        .target
                        .bytes(table, count.saturating_mul(size_of::<Sym64<Native>>())),
                )
            })
            .unwrap_or_default()
    }

    /// What stands in the places that are filled with a symbol's address.
    fn targets(&self, symbol: u32) -> Vec<usize> {
        let tables = [
            (elf::DT_JMPREL, elf::DT_PLTRELSZ),
            (elf::DT_RELA, elf::DT_RELASZ),
        ];
        let tables = tables
            .into_iter()
            .filter_map(|(table, size)| self.address(table).zip(self.tag(size)));
        let relocations = tables
            .flat_map(|(table, size)| slice_of::<Rela64<Native>>(&self.target.bytes(table, size)));
        let places = relocations
            .filter(|relocation| relocation.r_sym(Native, false) == symbol)
            .map(|relocation| self.bias + relocation.r_offset.get(Native) as usize);
        places
            .filter_map(|place| self.load::<u64>(place))
            .map(|target| target as usize)
            .collect()
    }
}
