//! An ELF file on disk that is not loaded, or could not be: its class, what it needs and what it provides.

use std::path::Path;

use object::elf::{self, FileHeader64};
use object::read::elf::{FileHeader, SectionHeader, SectionTable};
use object::{Endianness, Object, ObjectSymbol, ReadCache, ReadRef};
use serde::Serialize;

use crate::code::symbols::Source;
use crate::elf::image::Demand;
use crate::files;

/// What the first bytes of a file say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Class {
    /// 32 or 64.
    pub bits: u8,
    /// The number of the processor family (`e_machine`).
    pub machine: u16,
}

/// A file as the linker would find it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Its soname.
    pub soname: Option<String>,
    /// What it needs.
    pub needed: Vec<String>,
    /// Its old search path.
    pub rpath: Option<String>,
    /// Its search path.
    pub runpath: Option<String>,
    /// The versions that it defines.
    pub versions: Vec<String>,
    /// The versions that it demands.
    pub demands: Vec<Demand>,
    /// The bytes of thread-local variables.
    pub tls: u64,
}

/// Reads the class of a file; `None` where it is no ELF file or cannot be read.
pub fn class(path: &Path) -> Option<Class> {
    let cache = ReadCache::new(files::open(path).ok()?);
    let head = cache.read_bytes_at(0, 20).ok()?;
    if head.get(..4)? != b"\x7fELF" {
        return None;
    }
    let little = *head.get(5)? == 1;
    let machine: [u8; 2] = head.get(18..20)?.try_into().ok()?;
    Some(Class {
        bits: match head.get(4)? {
            1 => 32,
            _ => 64,
        },
        machine: if little {
            u16::from_le_bytes(machine)
        } else {
            u16::from_be_bytes(machine)
        },
    })
}

impl Class {
    /// The class that this process can load.
    pub fn of_this_process() -> Option<Self> {
        class(Path::new("/proc/self/exe"))
    }
}

impl std::fmt::Display for Class {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let machine = match self.machine {
            3 => "x86",
            40 => "ARM",
            62 => "x86-64",
            183 => "AArch64",
            243 => "RISC-V",
            21 => "POWER",
            _ => return write!(out, "{} bits, processor family {}", self.bits, self.machine),
        };
        write!(out, "{} bits, {machine}", self.bits)
    }
}

/// Reads the dynamic section of a file of 64 bits; `None` where it has none or cannot be read.
pub fn facts(path: &Path) -> Option<Facts> {
    let cache = ReadCache::new(files::open(path).ok()?);
    let data = &cache;
    let header = FileHeader64::<Endianness>::parse(data).ok()?;
    let endian = header.endian().ok()?;
    let sections = header.sections(endian, data).ok()?;
    let mut facts = Facts {
        tls: header
            .program_headers(endian, data)
            .ok()?
            .iter()
            .find(|part| part.p_type.get(endian) == elf::PT_TLS)
            .map_or(0, |part| part.p_memsz.get(endian)),
        ..Facts::default()
    };
    dynamic(&sections, endian, data, &mut facts)?;
    facts.versions = defined(&sections, endian, data).unwrap_or_default();
    facts.demands = demanded(&sections, endian, data).unwrap_or_default();
    Some(facts)
}

/// Whether a file's full list of symbols has a name; also that of a static function.
pub fn names(path: &Path, name: &str) -> bool {
    let looked = || {
        let cache = ReadCache::new(files::open(path).ok()?);
        let data = &cache;
        let header = FileHeader64::<Endianness>::parse(data).ok()?;
        let endian = header.endian().ok()?;
        let sections = header.sections(endian, data).ok()?;
        let table = sections.symbols(endian, data, elf::SHT_SYMTAB).ok()?;
        let strings = sections.section(table.string_section()).ok()?;
        let strings = strings.data(endian, data).ok()?;
        let wanted = format!("\0{name}\0");
        let mut places = strings.windows(wanted.len());
        Some(places.any(|window| window == wanted.as_bytes()))
    };
    looked().unwrap_or(false)
}

/// Whether a file defines a name for others.
pub fn exports(path: &Path, name: &str) -> bool {
    let looked = || {
        let cache = ReadCache::new(files::open(path).ok()?);
        let file = object::File::parse(&cache).ok()?;
        let mut symbols = file.dynamic_symbols();
        Some(symbols.any(|symbol| symbol.is_definition() && symbol.name() == Ok(name)))
    };
    looked().unwrap_or(false)
}

/// The names that a file defines for others and that begin so.
pub fn exported_with(path: &Path, start: &str) -> Vec<String> {
    let looked = || {
        let cache = ReadCache::new(files::open(path).ok()?);
        let file = object::File::parse(&cache).ok()?;
        let defined = file
            .dynamic_symbols()
            .filter(|symbol| symbol.is_definition());
        let names = defined.filter_map(|symbol| symbol.name().ok().map(str::to_owned));
        Some(names.filter(|name| name.starts_with(start)).collect())
    };
    looked().unwrap_or_default()
}

/// Which names a file has, by its list of sections; no name is read.
pub fn symbols(path: &Path) -> Source {
    let looked = || {
        let cache = ReadCache::new(files::open(path).ok()?);
        let data = &cache;
        let header = FileHeader64::<Endianness>::parse(data).ok()?;
        let endian = header.endian().ok()?;
        let sections = header.section_headers(endian, data).ok()?;
        let has = |kind| {
            let mut sections = sections.iter();
            sections.any(|section| section.sh_type.get(endian) == kind)
        };
        Some(match () {
            () if has(elf::SHT_SYMTAB) => Source::Symtab,
            () if has(elf::SHT_DYNSYM) => Source::Dynsym,
            () => Source::None,
        })
    };
    looked().unwrap_or_default()
}

type Sections<'data, R> = SectionTable<'data, FileHeader64<Endianness>, R>;

fn dynamic<'data, R: ReadRef<'data>>(
    sections: &Sections<'data, R>,
    endian: Endianness,
    data: R,
    facts: &mut Facts,
) -> Option<()> {
    let (entries, link) = sections.dynamic(endian, data).ok()??;
    let strings = sections.strings(endian, data, link).ok()?;
    for entry in entries {
        let text = || {
            let offset = u32::try_from(entry.d_val.get(endian)).ok()?;
            let text = strings.get(offset).ok()?;
            Some(String::from_utf8_lossy(text).into_owned())
        };
        match entry.d_tag.get(endian) {
            elf::DT_NEEDED => facts.needed.extend(text()),
            elf::DT_SONAME => facts.soname = text(),
            elf::DT_RPATH => facts.rpath = text(),
            elf::DT_RUNPATH => facts.runpath = text(),
            _ => {}
        }
    }
    Some(())
}

fn defined<'data, R: ReadRef<'data>>(
    sections: &Sections<'data, R>,
    endian: Endianness,
    data: R,
) -> Option<Vec<String>> {
    let (mut entries, link) = sections.gnu_verdef(endian, data).ok()??;
    let strings = sections.strings(endian, data, link).ok()?;
    let mut versions = Vec::new();
    while let Ok(Some((entry, mut names))) = entries.next() {
        if entry.vd_ndx.get(endian).0 == 1 {
            continue;
        }
        if let Ok(Some(name)) = names.next() {
            let name = strings.get(name.vda_name.get(endian)).ok()?;
            versions.push(String::from_utf8_lossy(name).into_owned());
        }
    }
    Some(versions)
}

fn demanded<'data, R: ReadRef<'data>>(
    sections: &Sections<'data, R>,
    endian: Endianness,
    data: R,
) -> Option<Vec<Demand>> {
    let (mut entries, link) = sections.gnu_verneed(endian, data).ok()??;
    let strings = sections.strings(endian, data, link).ok()?;
    let text = |offset: u32| {
        let text = strings.get(offset).ok()?;
        Some(String::from_utf8_lossy(text).into_owned())
    };
    let mut demands = Vec::new();
    while let Ok(Some((entry, mut names))) = entries.next() {
        let mut versions = Vec::new();
        while let Ok(Some(name)) = names.next() {
            versions.extend(text(name.vna_name.get(endian)));
        }
        demands.push(Demand {
            library: text(entry.vn_file.get(endian))?,
            versions,
        });
    }
    Some(demands)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linker::libraries;
    use crate::proc::maps::Maps;

    #[test]
    fn the_file_says_what_the_image_says() {
        for library in libraries::loaded(&Maps::read().unwrap()).unwrap() {
            let Some(path) = library.path.as_deref() else {
                continue;
            };
            let facts = facts(Path::new(path)).unwrap();
            let image = &library.image;
            assert_eq!(facts.soname, image.soname, "{path}");
            assert_eq!(facts.needed, image.needed, "{path}");
            assert_eq!(facts.versions, image.versions, "{path}");
            assert_eq!(facts.demands, image.demands, "{path}");
            assert_eq!(facts.tls, image.tls as u64, "{path}");
            assert_eq!(class(Path::new(path)), Class::of_this_process());
        }
    }

    #[test]
    fn what_is_no_library_has_no_facts() {
        let own = Path::new(file!());
        assert_eq!((class(own), facts(own)), (None, None));
        assert!(!exports(own, "main"));
        assert!(exports(
            Path::new("/lib64/ld-linux-x86-64.so.2"),
            "__tls_get_addr"
        ));
    }
}
