//! The names of functions and data: which symbol an address lies in, and where a symbol of a name lies.
//!
//! `.symtab` is read from the file, since it is not mapped; a library whose file was stripped has only `.dynsym`, the
//! names that it exports. A file that is no longer the one that was mapped (by its build ID) is not believed.
//! Tables are read once for each file, but for the names of large ones (`names.rs`).

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use diaphane_forks::ProcessLock;
use object::NativeEndian as Native;
use object::read::ReadCache;
use object::read::elf::{ElfFile64, FileHeader, SectionHeader};
use object::{Object, elf};
use serde::Serialize;

use super::names::{FileIdentity, Names, name_at};
use super::remembered::Remembered;
use crate::files;
use crate::linker::libraries::Library;

/// Where the names of a library come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// All names, static functions too.
    Symtab,
    /// The exported names alone.
    Dynsym,
    /// No name is known.
    #[default]
    None,
}

/// What a symbol names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SymbolKind {
    /// Code.
    Function,
    /// Data.
    Data,
}

/// One name, at its address in this process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Symbol {
    /// The name as it is in the table; not demangled, without a version.
    pub name: String,
    /// Its first address.
    pub start: usize,
    /// How many bytes it takes; 0 where the table does not say.
    pub size: usize,
    /// What it names.
    pub kind: SymbolKind,
}

/// Where an address lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The index of the library in the list that was given.
    pub library: usize,
    /// The symbol that the address lies in; `None` where the table has a gap.
    pub symbol: Option<Symbol>,
    /// The distance from the symbol's start, or from the library's base where there is no symbol.
    pub offset: usize,
}

/// The names of one file, ordered by address.
#[derive(Debug, Default)]
pub struct Table {
    /// Where they come from.
    pub source: Source,
    entries: Box<[Entry]>,
    names: Names,
}

/// A name at its address in the file's own numbering.
#[derive(Debug)]
struct Entry {
    start: u64,
    size: u64,
    /// Its place among the names.
    name: u32,
    kind: SymbolKind,
}

/// A table with all names at hand.
#[derive(Debug)]
pub struct NamedTable<'a> {
    entries: &'a [Entry],
    names: Cow<'a, [u8]>,
    bias: usize,
}

/// The build ID belongs to the key: a file that is right for one process may not be the one that another has mapped.
type Tables = HashMap<(FileIdentity, Option<String>), Arc<Table>>;

static TABLES: ProcessLock<Tables> = ProcessLock::new(Default::default);

impl Table {
    /// The names of a loaded library. A file that cannot be read or is another one by now gives none.
    pub fn of(library: &Library) -> Arc<Self> {
        let known = || {
            let path = library.file.as_deref()?;
            let identity = FileIdentity::of(&fs::metadata(path).ok()?);
            let key = (identity, library.image.build_id.clone());
            let mut tables = TABLES.lock();
            if let Some(table) = tables.get(&key) {
                return Some(Arc::clone(table));
            }
            let table = Arc::new(Self::read(path, library.image.build_id.as_deref())?);
            tables.insert(key, Arc::clone(&table));
            Some(table)
        };
        known().unwrap_or_default()
    }

    fn read(path: &Path, build_id: Option<&str>) -> Option<Self> {
        let file = files::open(path).ok()?;
        let identity = FileIdentity::of(&file.metadata().ok()?);
        let cache = ReadCache::new(file);
        let file = ElfFile64::<Native, _>::parse(&cache).ok()?;
        let found = file.build_id().ok().flatten().map(hexadecimal);
        if found.as_deref() != build_id {
            return None;
        }
        let sections = file.elf_header().sections(Native, &cache).ok()?;
        let table = |kind| {
            sections
                .iter()
                .find(|section| section.sh_type(Native) == kind)
        };
        let full = table(elf::SHT_SYMTAB).map(|section| (Source::Symtab, section));
        let exported = || Some((Source::Dynsym, table(elf::SHT_DYNSYM)?));
        let Some((source, section)) = full.or_else(exported) else {
            return Some(Self::default());
        };
        // Both sections are read at once: the file has thousands of names, and the system a price for each reading.
        let symbols: &[elf::Sym64<Native>] = section.data_as_array(Native, &cache).ok()?;
        let link = sections.section(section.link(Native)).ok()?;
        let bytes = link.data(Native, &cache).ok()?;
        let found = symbols.iter().filter_map(|symbol| entry(symbol, bytes));
        let mut entries: Box<[Entry]> = found.collect();
        // Of several names for one place the longest reaches farthest; the first in the table is kept first.
        entries.sort_by_key(|entry| (entry.start, entry.size));
        let names = Names::new(path, identity, link.sh_offset(Native), bytes);
        Some(Self {
            source,
            entries,
            names,
        })
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The symbol that an address of the process lies in, for a library with this bias.
    pub fn at(&self, address: usize, bias: usize) -> Option<Symbol> {
        let own = address.checked_sub(bias)? as u64;
        let after = self.entries.partition_point(|entry| entry.start <= own);
        let candidates = self.entries[..after].iter().rev();
        // A symbol without a size reaches to the next one; nothing reaches over so many others.
        let found = candidates.take(64).find(|entry| match entry.size {
            0 => {
                self.entries.get(after).is_none_or(|next| own < next.start)
                    && entry.kind == SymbolKind::Function
            }
            size => own < entry.start + size,
        })?;
        Some(found.here(self.names.at(found.name)?, bias))
    }

    /// All names, for a library with this bias. Of a large table they are read now.
    pub fn named(&self, bias: usize) -> NamedTable<'_> {
        NamedTable {
            entries: &self.entries,
            names: self.names.all(),
            bias,
        }
    }
}

impl NamedTable<'_> {
    /// The symbols of a name.
    pub fn of(&self, name: &str) -> Vec<Symbol> {
        let all = self.entries.iter();
        all.filter(|entry| name_at(&self.names, entry.name) == Some(name))
            .map(|entry| entry.here(name.to_owned(), self.bias))
            .collect()
    }

    /// All symbols.
    pub fn symbols(&self) -> impl Iterator<Item = Symbol> + '_ {
        self.entries.iter().filter_map(|entry| {
            Some(entry.here(name_at(&self.names, entry.name)?.to_owned(), self.bias))
        })
    }

    /// All names with what they name, where that lies, and how many bytes it takes.
    pub fn places(&self) -> impl Iterator<Item = (&str, SymbolKind, usize, usize)> {
        self.entries.iter().filter_map(|entry| {
            let start = self.bias.wrapping_add(entry.start as usize);
            let name = name_at(&self.names, entry.name)?;
            Some((name, entry.kind, start, entry.size as usize))
        })
    }
}

impl Entry {
    fn here(&self, name: String, bias: usize) -> Symbol {
        Symbol {
            name,
            start: bias.wrapping_add(self.start as usize),
            size: self.size as usize,
            kind: self.kind,
        }
    }
}

/// Where an address lies: in which library, in which symbol, and how far in.
pub fn place(address: usize, libraries: &[Library]) -> Option<Place> {
    let inside = |library: &Library| {
        library
            .segments
            .iter()
            .any(|segment| segment.span.contains(address))
    };
    let index = libraries.iter().position(inside)?;
    let library = &libraries[index];
    let symbol = symbol(address, library);
    let from = symbol
        .as_ref()
        .map_or(library.span.start, |symbol| symbol.start);
    Some(Place {
        library: index,
        symbol,
        offset: address - from,
    })
}

/// The symbol that an address of a library lies in.
fn symbol(address: usize, library: &Library) -> Option<Symbol> {
    static KNOWN: ProcessLock<Option<Remembered<Option<Symbol>>>> = ProcessLock::new(|| None);
    let known = |known: &mut Option<Remembered<_>>| {
        known.get_or_insert_default().get(&library.image, address)
    };
    if let Some(symbol) = known(&mut KNOWN.lock()) {
        return symbol;
    }
    let symbol = Table::of(library).at(address, library.image.bias());
    let mut known = KNOWN.lock();
    let known = known.get_or_insert_default();
    known.keep(&library.image, address, symbol.clone());
    symbol
}

fn entry(symbol: &elf::Sym64<Native>, names: &[u8]) -> Option<Entry> {
    let kind = match symbol.st_type() {
        // Which function stands behind an indirect one, its own code decides.
        elf::STT_FUNC | elf::STT_GNU_IFUNC => SymbolKind::Function,
        elf::STT_OBJECT => SymbolKind::Data,
        _ => return None,
    };
    let name = symbol.st_name.get(Native);
    name_at(names, name)?;
    let is_defined = symbol.st_shndx.get(Native) != elf::SHN_UNDEF;
    is_defined.then(|| Entry {
        start: symbol.st_value.get(Native),
        size: symbol.st_size.get(Native),
        name,
        kind,
    })
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::linker::libraries;
    use crate::proc::maps::Maps;

    #[inline(never)]
    fn known_to_the_table() -> usize {
        std::hint::black_box(41)
    }

    #[test]
    fn an_address_of_ours_has_our_name() {
        let libraries = libraries::loaded(&Maps::read().unwrap()).unwrap();
        let address = known_to_the_table as *const () as usize;
        let found = place(address + 1, &libraries).unwrap();
        let symbol = found.symbol.unwrap();
        assert!(symbol.name.contains("known_to_the_table"), "{symbol:?}");
        assert_eq!((found.library, found.offset, symbol.start), (0, 1, address));
        assert_eq!(known_to_the_table(), 41);
    }

    #[test]
    fn the_names_are_those_of_nm() {
        let libraries = libraries::loaded(&Maps::read().unwrap()).unwrap();
        let library = &libraries[0];
        let table = Table::of(library);
        assert_eq!(table.source, Source::Symtab);
        let output = Command::new("nm")
            .args(["--defined-only", library.path.as_deref().unwrap()])
            .output();
        let text = String::from_utf8(output.unwrap().stdout).unwrap();
        let functions: Vec<(usize, &str)> = text
            .lines()
            .filter_map(|line| {
                let mut words = line.split(' ');
                let start = usize::from_str_radix(words.next()?, 16).ok()?;
                words.next().filter(|kind| *kind == "t" || *kind == "T")?;
                Some((start, words.next()?))
            })
            .collect();
        assert!(functions.len() > 1000);
        let bias = library.image.bias();
        let names = table.named(bias);
        for (start, name) in functions.into_iter().step_by(97) {
            let all = names.of(name);
            // Names that the assembler made have no kind, and are left out.
            assert!(
                all.is_empty() || all.iter().any(|symbol| symbol.start == bias + start),
                "{name}"
            );
        }
    }

    #[test]
    fn another_file_in_its_place_is_not_believed() {
        let mut libraries = libraries::loaded(&Maps::read().unwrap()).unwrap();
        let mut library = libraries.swap_remove(0);
        let shell = Path::new("/bin/sh");
        let bytes = fs::read(shell).unwrap();
        let id = object::File::parse(bytes.as_slice()).unwrap().build_id();
        let mut right = library.clone();
        library.file = Some(shell.into());
        right.file = Some(shell.into());
        Arc::make_mut(&mut right.image).build_id = id.unwrap().map(hexadecimal);
        // Also when the file was read for a process that has it mapped.
        assert_ne!(Table::of(&right).source, Source::None);
        assert_eq!(Table::of(&library).source, Source::None);
    }
}
