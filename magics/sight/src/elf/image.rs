//! An ELF image as it lies in memory: its segments, what it needs, its build ID, the names it exports.
//!
//! It is read from the mapped image and not from the file, since the file may have been replaced after it was mapped.
//! Names that only the file has (`.symtab`, DWARF) are not here.

mod names;
mod versions;

pub use names::{Export, Import};
pub use versions::Demand;

use std::mem::offset_of;

use object::NativeEndian as Native;
use object::elf::{self, DynamicTag, FileHeader64, ProgramType};
use object::pod::{Pod, from_bytes, slice_from_bytes};
use object::read::elf::NoteIterator;

use crate::proc::spans::Span;
use crate::proc::target_process::TargetProcess;

/// One program header, moved to where it was loaded.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    /// What it is: to load, dynamic, notes...
    pub kind: ProgramType,
    /// Where it lies.
    pub span: Span,
    /// How its content is aligned.
    pub align: u64,
    /// Whether it asks to be run.
    pub is_executable: bool,
}

/// A mapped image.
#[derive(Debug, Clone, Default)]
pub struct Image {
    /// The name it goes by among libraries.
    pub soname: Option<String>,
    /// The names of the libraries it needs.
    pub needed: Vec<String>,
    /// Where it tells the loader to look, in the old form that its children inherit.
    pub rpath: Option<String>,
    /// Where it tells the loader to look, in the new form that is its own.
    pub runpath: Option<String>,
    /// The linker's fingerprint of the file, in hexadecimal digits.
    pub build_id: Option<String>,
    /// Whether it exports the function by which Python imports a module from a file of this name (PEP 489).
    pub is_python_module: bool,
    /// The versions of the names that it defines, in the file's order; without the one that is its own name.
    pub versions: Vec<String>,
    /// The versions of names that it demands of others.
    pub demands: Vec<Demand>,
    /// Whether its code must be written to when it is loaded.
    pub has_text_relocations: bool,
    /// Whether it wants the stacks of all threads to be executable; `None` where it does not say.
    pub wants_executable_stack: Option<bool>,
    /// The bytes that each thread gets for its thread-local variables.
    pub tls: usize,
    /// Whether these must lie in the space that every thread was given at its start.
    pub needs_static_tls: bool,
    target: TargetProcess,
    bias: usize,
    parts: Vec<Part>,
    tags: Vec<(DynamicTag, usize)>,
}

impl Image {
    /// Reads an image of which the program headers and the path are known.
    pub fn read(target: TargetProcess, bias: usize, parts: Vec<Part>, path: &str) -> Self {
        let tags = tags(target, &parts);
        let mut image = Self {
            target,
            bias,
            parts,
            tags,
            ..Self::default()
        };
        image.soname = image.text(elf::DT_SONAME);
        image.needed = image.needs();
        image.rpath = image.text(elf::DT_RPATH);
        image.runpath = image.text(elf::DT_RUNPATH);
        image.build_id = image.fingerprint();
        image.versions = image.defined_versions();
        image.demands = image.demanded_versions();
        let flags = image.tag(elf::DT_FLAGS).unwrap_or(0) as u64;
        image.has_text_relocations =
            image.tag(elf::DT_TEXTREL).is_some() || flags & elf::DF_TEXTREL.0 != 0;
        image.needs_static_tls = flags & elf::DF_STATIC_TLS.0 != 0;
        image.wants_executable_stack = image.part(elf::PT_GNU_STACK).map(|part| part.is_executable);
        image.tls = image.part(elf::PT_TLS).map_or(0, |part| part.span.len());
        let file = path.rsplit('/').next().unwrap_or(path);
        let module = file.split('.').next().unwrap_or(file);
        image.is_python_module = image.exports(&format!("PyInit_{module}"));
        image
    }

    /// Whose memory it lies in.
    pub fn target(&self) -> TargetProcess {
        self.target
    }

    /// The distance from the addresses in the file to those in memory.
    pub fn bias(&self) -> usize {
        self.bias
    }

    /// The program headers.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// From the first to behind the last page of what was loaded.
    pub fn span(&self) -> Span {
        let loaded = || {
            self.parts
                .iter()
                .filter(|part| part.kind == elf::PT_LOAD)
                .map(|part| part.span)
        };
        let start = loaded().map(|span| span.start).min().unwrap_or(self.bias);
        let end = loaded().map(|span| span.end).max().unwrap_or(start);
        let page = rustix::param::page_size();
        Span::new(start - start % page, end.next_multiple_of(page))
    }

    /// Whether the image defines a symbol for others, by the hash table that the loader uses itself.
    pub fn exports(&self, name: &str) -> bool {
        self.find(name).is_some_and(|found| !found.is_empty())
    }

    /// Where a function that the image defines for others lies; not that of one which the loader chooses among several.
    pub fn function(&self, name: &str) -> Option<usize> {
        let symbol = self.symbol(*self.find(name)?.first()?)?;
        let is_function =
            symbol.st_type() == elf::STT_FUNC && symbol.st_shndx.get(Native) != elf::SHN_UNDEF;
        is_function.then(|| self.bias.wrapping_add(symbol.st_value.get(Native) as usize))
    }

    /// Where data that the image defines for others lies.
    pub fn data(&self, name: &str) -> Option<Span> {
        let symbol = self.symbol(*self.find(name)?.first()?)?;
        let is_data =
            symbol.st_type() == elf::STT_OBJECT && symbol.st_shndx.get(Native) != elf::SHN_UNDEF;
        let start = self.bias.wrapping_add(symbol.st_value.get(Native) as usize);
        is_data.then(|| {
            Span::new(
                start,
                start.wrapping_add(symbol.st_size.get(Native) as usize),
            )
        })
    }

    fn part(&self, kind: ProgramType) -> Option<&Part> {
        self.parts.iter().find(|part| part.kind == kind)
    }

    /// The indices of the symbols of a name, of which there is one for each version.
    ///
    /// Walks the GNU hash table: a Bloom filter, buckets, and chains whose last entry has its lowest bit set.
    fn find(&self, name: &str) -> Option<Vec<u32>> {
        let mut found = Vec::new();
        let table = self.address(elf::DT_GNU_HASH)?;
        let header: elf::GnuHashHeader<Native> = self.load(table)?;
        let buckets = header.bucket_count.get(Native);
        let bloom = table + size_of_val(&header);
        let bloom_words = header.bloom_count.get(Native) as usize;
        let first_bucket = bloom + bloom_words * size_of::<u64>();
        let first_chain = first_bucket + buckets as usize * size_of::<u32>();

        let hash = elf::gnu_hash(name.as_bytes());
        let word: u64 =
            self.load(bloom + (hash as usize / 64).checked_rem(bloom_words)? * size_of::<u64>())?;
        let mask =
            1u64 << (hash % 64) | 1u64 << (hash.checked_shr(header.bloom_shift.get(Native))? % 64);
        if word & mask != mask {
            return None;
        }
        let mut index: u32 =
            self.load(first_bucket + hash.checked_rem(buckets)? as usize * size_of::<u32>())?;
        loop {
            let place = index.checked_sub(header.symbol_base.get(Native))? as usize;
            let link: u32 = self.load(first_chain + place * size_of::<u32>())?;
            if link | 1 == hash | 1 {
                let symbol = self.symbol(index)?;
                if self.string(symbol.st_name.get(Native) as usize)? == name {
                    found.push(index);
                }
            }
            if link & 1 == 1 {
                return Some(found);
            }
            index += 1;
        }
    }

    /// The symbols of a name that are defined for others, one for each version.
    pub(crate) fn symbols(&self, name: &str) -> Vec<elf::Sym64<Native>> {
        let found = self.find(name).unwrap_or_default();
        found
            .into_iter()
            .filter_map(|index| self.symbol(index))
            .collect()
    }

    /// Where the values stand by which a name leads to a function: one in the table for each version of it.
    pub fn values(&self, name: &str, function: usize) -> Vec<usize> {
        let found = self.find(name).unwrap_or_default().into_iter();
        let leads_there = |index: &u32| {
            self.symbol(*index).is_some_and(|symbol| {
                let value = symbol.st_value.get(Native) as usize;
                symbol.st_type() == elf::STT_FUNC && self.bias.wrapping_add(value) == function
            })
        };
        found
            .filter(leads_there)
            .filter_map(|index| {
                Some(self.symbol_address(index)? + offset_of!(elf::Sym64<Native>, st_value))
            })
            .collect()
    }

    /// The names of symbols by their places in the table, which is read up to the last of them.
    pub(crate) fn names(
        &self,
        places: impl Iterator<Item = usize> + Clone,
    ) -> Option<Vec<Option<String>>> {
        let count = places.clone().max()?.saturating_add(1);
        let table = self.target.bytes(
            self.address(elf::DT_SYMTAB)?,
            count.saturating_mul(size_of::<elf::Sym64<Native>>()),
        );
        let symbols: Vec<elf::Sym64<Native>> = slice_of(&table);
        let text = self
            .target
            .bytes(self.address(elf::DT_STRTAB)?, self.tag(elf::DT_STRSZ)?);
        let name = |place: usize| {
            let tail = text.get(symbols.get(place)?.st_name.get(Native) as usize..)?;
            let end = tail.iter().position(|&byte| byte == 0)?;
            String::from_utf8(tail[..end].to_vec())
                .ok()
                .filter(|name| !name.is_empty())
        };
        Some(places.map(name).collect())
    }

    fn symbol(&self, index: u32) -> Option<elf::Sym64<Native>> {
        self.load(self.symbol_address(index)?)
    }

    fn symbol_address(&self, index: u32) -> Option<usize> {
        let size = size_of::<elf::Sym64<Native>>();
        Some(self.address(elf::DT_SYMTAB)? + index as usize * size)
    }

    fn needs(&self) -> Vec<String> {
        let names = self.tags.iter().filter(|(tag, _)| *tag == elf::DT_NEEDED);
        names
            .filter_map(|&(_, offset)| self.string(offset))
            .collect()
    }

    fn fingerprint(&self) -> Option<String> {
        self.parts
            .iter()
            .filter(|part| part.kind == elf::PT_NOTE)
            .find_map(|part| {
                let raw = self.target.bytes(part.span.start, part.span.len());
                let mut notes =
                    NoteIterator::<FileHeader64<Native>>::new(Native, part.align, &raw).ok()?;
                while let Ok(Some(note)) = notes.next() {
                    if note.name() == elf::ELF_NOTE_GNU
                        && note.n_type(Native) == elf::NT_GNU_BUILD_ID
                    {
                        return Some(
                            note.desc()
                                .iter()
                                .map(|byte| format!("{byte:02x}"))
                                .collect(),
                        );
                    }
                }
                None
            })
    }

    pub(crate) fn tag(&self, wanted: DynamicTag) -> Option<usize> {
        self.tags
            .iter()
            .find(|(tag, _)| *tag == wanted)
            .map(|&(_, value)| value)
    }

    /// glibc has already moved the addresses of most images, but not those of the vDSO.
    pub(crate) fn address(&self, tag: DynamicTag) -> Option<usize> {
        let value = self.tag(tag)?;
        Some(if value < self.bias {
            value + self.bias
        } else {
            value
        })
    }

    fn text(&self, tag: DynamicTag) -> Option<String> {
        self.string(self.tag(tag)?)
    }

    fn string(&self, offset: usize) -> Option<String> {
        self.target
            .c_string(self.address(elf::DT_STRTAB)?.checked_add(offset)?)
    }

    fn load<T: Pod>(&self, address: usize) -> Option<T> {
        let raw = self.target.bytes(address, size_of::<T>());
        from_bytes(&raw).ok().map(|(value, _)| *value)
    }
}

/// The dynamic section, up to its end mark.
fn tags(target: TargetProcess, parts: &[Part]) -> Vec<(DynamicTag, usize)> {
    let dynamic = parts.iter().find(|part| part.kind == elf::PT_DYNAMIC);
    let raw = dynamic
        .map(|part| target.bytes(part.span.start, part.span.len()))
        .unwrap_or_default();
    slice_of::<elf::Dyn64<Native>>(&raw)
        .into_iter()
        .map(|entry| {
            (
                entry.d_tag.get(Native),
                usize::try_from(entry.d_val.get(Native)).unwrap_or(0),
            )
        })
        .take_while(|(tag, _)| *tag != elf::DT_NULL)
        .collect()
}

fn slice_of<T: Pod>(raw: &[u8]) -> Vec<T> {
    slice_from_bytes(raw, raw.len() / size_of::<T>())
        .map(|(items, _)| items.to_vec())
        .unwrap_or_default()
}
