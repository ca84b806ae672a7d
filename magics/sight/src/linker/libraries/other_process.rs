//! The libraries of another process, by the kernel's list of its regions: a file whose beginning is mapped, is an ELF
//! image, and whose segments include code.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use object::NativeEndian as Native;
use object::elf::{self, FileHeader64, ProgramHeader64};
use object::pod::{Pod, from_bytes, slice_from_bytes};

use super::{CELL_ENTRY, Library, LibraryKind, link, segments};
use crate::elf::image::{Image, Part};
use crate::proc::maps::{Maps, Region};
use crate::proc::spans::Span;
use crate::proc::target_process::TargetProcess;

/// No image has more program headers.
const MOST_HEADERS: usize = 256;

/// All images that a process has mapped, in the order of their addresses.
#[must_use]
pub fn loaded_by(target: TargetProcess, maps: &Maps) -> Vec<Library> {
    let auxiliary = Auxiliary::of(target);
    let mut libraries: Vec<Library> = Vec::new();
    for region in maps.regions.iter().filter(|region| region.offset == 0) {
        let known = libraries
            .last()
            .is_some_and(|library| library.span.contains(region.span.start));
        if !known && let Some(library) = library(target, maps, region, &auxiliary) {
            libraries.push(library);
        }
    }
    link(&mut libraries);
    libraries
}

fn library(
    target: TargetProcess,
    maps: &Maps,
    region: &Region,
    auxiliary: &Auxiliary,
) -> Option<Library> {
    let is_vdso = auxiliary.vdso == Some(region.span.start);
    let path = region.path().map(str::to_owned);
    if path.is_none() && !is_vdso {
        return None;
    }
    let (bias, parts) = parts(target, maps, region)?;
    let shown = path.as_deref().or(region.name.as_deref())?;
    let image = Image::read(target, bias, parts, shown);
    let span = image.span();
    let segments = segments(maps, span);
    let has_code = segments.iter().any(|segment| segment.perms.contains('x'));
    let is_here = |address: Option<usize>| address.is_some_and(|address| span.contains(address));
    let kind = match () {
        () if is_vdso => LibraryKind::Vdso,
        () if is_here(auxiliary.entry) => LibraryKind::Program,
        () if is_here(auxiliary.loader) => LibraryKind::Loader,
        () if image.is_python_module => LibraryKind::Extension,
        () if image.exports(CELL_ENTRY) => LibraryKind::Cell,
        () => LibraryKind::Library,
    };
    has_code.then(|| Library {
        name: Path::new(shown).file_name().map_or_else(
            || shown.to_owned(),
            |name| name.to_string_lossy().into_owned(),
        ),
        linker_name: shown.to_owned(),
        file: file(target, region, kind),
        path: path.clone(),
        deleted: region.deleted,
        kind,
        span,
        segments,
        needed_by: Vec::new(),
        image: Arc::new(image),
    })
}

/// The program headers, and how far the image lies from the addresses in its file.
fn parts(target: TargetProcess, maps: &Maps, first: &Region) -> Option<(usize, Vec<Part>)> {
    let start = first.span.start;
    let header: FileHeader64<Native> = load(target, start)?;
    let is_ours = header.e_ident.magic == elf::ELFMAG && header.e_ident.class == elf::ELFCLASS64;
    let count = usize::from(header.e_phnum.get(Native));
    if !is_ours || count > MOST_HEADERS {
        return None;
    }
    let at = usize::try_from(header.e_phoff.get(Native)).ok()?;
    let raw = target.bytes(
        mapped(maps, first, at)?,
        count * size_of::<ProgramHeader64<Native>>(),
    );
    let (headers, _) = slice_from_bytes::<ProgramHeader64<Native>>(&raw, count).ok()?;
    let page = rustix::param::page_size();
    let begins = |header: &&ProgramHeader64<Native>| {
        header.p_type.get(Native) == elf::PT_LOAD && header.p_offset.get(Native) < page as u64
    };
    let vaddr = headers.iter().find(begins)?.p_vaddr.get(Native) as usize;
    let bias = start.wrapping_sub(vaddr - vaddr % page);
    let part = |header: &ProgramHeader64<Native>| {
        let start = bias.wrapping_add(header.p_vaddr.get(Native) as usize);
        let end = start.wrapping_add(header.p_memsz.get(Native) as usize);
        Part {
            kind: header.p_type.get(Native),
            span: Span::new(start, end),
            align: header.p_align.get(Native),
            is_executable: header.p_flags.get(Native).0 & elf::PF_X.0 != 0,
        }
    };
    Some((bias, headers.iter().map(part).collect()))
}

/// Where a place of a file is mapped. Tools that edit libraries move the program headers away from the beginning.
fn mapped(maps: &Maps, first: &Region, offset: usize) -> Option<usize> {
    let place = |region: &Region| {
        let within = offset.checked_sub(usize::try_from(region.offset).ok()?)?;
        (within < region.span.len()).then_some(region.span.start + within)
    };
    let after = maps
        .regions
        .iter()
        .filter(|region| region.span >= first.span && region.name == first.name);
    after.take(16).find_map(place)
}

/// Where the file of a region can be read: the process may see another file system.
fn file(target: TargetProcess, region: &Region, kind: LibraryKind) -> Option<PathBuf> {
    let folder = target.folder();
    let path = region.path()?;
    if !region.deleted {
        return Some(folder.join("root").join(path.trim_start_matches('/')));
    }
    // What is gone from its folder is still in the kernel's hands; only for the program everybody may have it.
    let span = region.span;
    let kept = match kind {
        LibraryKind::Program => folder.join("exe"),
        _ => folder.join(format!("map_files/{:x}-{:x}", span.start, span.end)),
    };
    fs::File::open(&kept).is_ok().then_some(kept)
}

/// What the kernel handed to the program.
struct Auxiliary {
    entry: Option<usize>,
    loader: Option<usize>,
    vdso: Option<usize>,
}

impl Auxiliary {
    fn of(target: TargetProcess) -> Self {
        let raw = fs::read(target.folder().join("auxv")).unwrap_or_default();
        let (words, _) = raw.as_chunks::<{ size_of::<usize>() }>();
        let words: Vec<usize> = words
            .iter()
            .map(|word| usize::from_ne_bytes(*word))
            .collect();
        let (pairs, _) = words.as_chunks::<2>();
        let value = |wanted: u64| {
            let pair = pairs.iter().find(|[kind, _]| *kind as u64 == wanted)?;
            Some(pair[1]).filter(|&address| address != 0)
        };
        Self {
            entry: value(libc::AT_ENTRY),
            loader: value(libc::AT_BASE),
            vdso: value(libc::AT_SYSINFO_EHDR),
        }
    }
}

fn load<T: Pod>(target: TargetProcess, address: usize) -> Option<T> {
    let raw = target.bytes(address, size_of::<T>());
    from_bytes(&raw).ok().map(|(value, _)| *value)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::linker::libraries::loaded;

    #[test]
    fn from_outside_a_process_has_the_libraries_that_its_linker_lists() {
        let maps = Maps::read().unwrap();
        let own = TargetProcess::process(std::process::id().cast_signed());
        let about = |library: &Library| {
            let image = &library.image;
            let facts = (library.kind, library.path.clone(), image.build_id.clone());
            (image.bias(), (facts, library.span, image.needed.clone()))
        };
        let inside: BTreeMap<_, _> = loaded(&maps).unwrap().iter().map(about).collect();
        let outside: BTreeMap<_, _> = loaded_by(own, &maps).iter().map(about).collect();
        assert_eq!(inside, outside);
    }
}
