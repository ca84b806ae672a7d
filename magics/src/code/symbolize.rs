//! What is known about an address in code: library, package, symbol, source line, instruction set.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use diaphane_forks::ForkOnce;
use diaphane_sight::code::got_entries::entries;
use diaphane_sight::code::instructions;
use diaphane_sight::code::instructions::{Counts, Instruction};
use diaphane_sight::code::lines;
use diaphane_sight::code::lines::Line;
use diaphane_sight::code::symbols;
use diaphane_sight::code::symbols::{Source, Symbol, SymbolKind, Table};
use diaphane_sight::elf::demangle::demangle;
use diaphane_sight::linker::libraries;
use diaphane_sight::linker::libraries::Library;
use diaphane_sight::packages::{self, Package};
use diaphane_sight::proc::maps::Maps;
use diaphane_sight::proc::spans::word;

use crate::error::Error;

/// Why there is no instruction.
pub(crate) const OTHER_PROCESSOR: &str =
    "machine code of this processor cannot be decoded; x86-64 can";

/// What the process consists of at the time of a question.
pub(crate) struct ProcessImage {
    /// The regions of memory.
    pub maps: Maps,
    /// The loaded libraries.
    pub libraries: Vec<Library>,
    /// The names under which other libraries are bound to an address.
    bound: ForkOnce<HashMap<usize, BTreeSet<String>>>,
}

impl ProcessImage {
    /// Looks.
    pub(crate) fn read() -> Result<Self, Error> {
        let maps = Maps::read()?;
        let libraries = libraries::loaded(&maps)?;
        Ok(Self {
            maps,
            libraries,
            bound: ForkOnce::new(),
        })
    }

    /// What lies at an address, if it belongs to a library.
    pub(crate) fn spot(&self, address: usize) -> Option<CodeLocation<'_>> {
        let place = symbols::place(address, &self.libraries)?;
        let library = &self.libraries[place.library];
        let table = Table::of(library);
        let bound = place
            .symbol
            .is_none()
            .then(|| self.bound_name(address))
            .flatten();
        let package = library
            .path
            .as_deref()
            .and_then(|path| packages::owner(Path::new(path)));
        Some(CodeLocation {
            address,
            library,
            package,
            symbol: place.symbol,
            offset: place.offset,
            source: table.source,
            bound,
        })
    }

    /// Where a function leads that only jumps on, as the entry of a linkage table does.
    pub(crate) fn through(&self, address: usize) -> Option<usize> {
        const LONGEST: usize = 8;
        let next = |&address: &usize| match instructions::plt_got_entry(address) {
            Some(slot) => word(slot),
            None => instructions::only_jump(address),
        };
        let first = next(&address)?;
        std::iter::successors(Some(first), next)
            .take(LONGEST)
            .last()
            .filter(|&end| self.spot(end).is_some())
    }

    /// An address as people name it: a symbol with the distance from its start, or nothing.
    pub(crate) fn name(&self, address: usize) -> Option<String> {
        let place = symbols::place(address, &self.libraries)?;
        let Some(symbol) = place.symbol else {
            return self.bound_name(address);
        };
        let name = demangle(&symbol.name);
        Some(match place.offset {
            0 => name,
            offset => format!("{name}+{offset:#x}"),
        })
    }

    /// The names under which libraries call an address that has none in its own library's file.
    fn bound_name(&self, address: usize) -> Option<String> {
        const MOST: usize = 3;
        // Data has no slot of its own but where its name is exported.
        self.maps
            .find(address)
            .filter(|region| region.is_executable())?;
        let all = || {
            let mut all: HashMap<usize, BTreeSet<String>> = HashMap::new();
            for entry in self.libraries.iter().flat_map(entries) {
                all.entry(entry.value)
                    .or_default()
                    .insert(demangle(&entry.name));
            }
            all
        };
        let names = self.bound.get_or_init(all).get(&address)?;
        let first: Vec<&str> = names.iter().take(MOST).map(String::as_str).collect();
        Some(first.join(" or "))
    }
}

/// A place in a library.
pub(crate) struct CodeLocation<'a> {
    /// The address.
    pub address: usize,
    /// The library.
    pub library: &'a Library,
    /// The package that installed the library.
    pub package: Option<Arc<Package>>,
    /// The symbol that the address lies in.
    pub symbol: Option<Symbol>,
    /// The distance from the symbol, or from the start of the library.
    pub offset: usize,
    /// Where the library's names come from.
    pub source: Source,
    /// What other libraries call it, where its own library has no name for it.
    bound: Option<String>,
}

impl CodeLocation<'_> {
    /// The name of the symbol as the source has it, or what others call it.
    pub(crate) fn func(&self) -> Option<String> {
        let own = self.symbol.as_ref().map(|symbol| demangle(&symbol.name));
        own.or_else(|| Some(format!("{} (bound)", self.bound.as_ref()?)))
    }

    /// The source line, where there is debug information.
    pub(crate) fn line(&self) -> Option<Line> {
        lines::line(self.address, self.library)
    }

    /// The instructions of the function, or from the address on where its end is not known.
    pub(crate) fn instructions(&self, most: usize) -> Vec<Instruction> {
        match &self.symbol {
            Some(symbol) if symbol.size > 0 => {
                instructions::decode(symbol.start, symbol.size, most)
            }
            _ => instructions::decode_function(self.address, most),
        }
    }

    /// What the names cannot tell here, if anything.
    pub(crate) fn limit(&self) -> Option<String> {
        let library = &self.library.name;
        match (self.source, &self.symbol) {
            (Source::Symtab | Source::Dynsym, Some(_)) => None,
            (Source::Dynsym, None) => Some(format!(
                "{library} is stripped: only its exported names are known, and this function's is not one{}",
                self.nearest().unwrap_or_default()
            )),
            (Source::Symtab, None) => Some(format!("no symbol of {library} covers this address")),
            (Source::None, _) => Some(format!(
                "no name of {library} is known: its file is gone, replaced, or has none"
            )),
        }
    }

    /// The name before the address, which need not be that of its function.
    fn nearest(&self) -> Option<String> {
        let functions = Table::of(self.library);
        let named = functions.named(self.library.image.bias());
        let before = named
            .symbols()
            .filter(|symbol| symbol.kind == SymbolKind::Function && symbol.start <= self.address);
        let last = before.max_by_key(|symbol| symbol.start)?;
        let distance = self.address - last.start;
        Some(format!(
            "; the nearest before it is {}, {distance:#x} bytes away",
            demangle(&last.name)
        ))
    }
}

/// Counts the instruction set that a function uses; nothing where this processor's code cannot be decoded.
pub(crate) fn counts(instructions: &[Instruction]) -> Option<Counts> {
    (!instructions.is_empty()).then(|| Counts::of(instructions))
}
