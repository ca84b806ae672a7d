//! The libraries of this process, as the dynamic linker lists them, joined with the kernel's regions.
//!
//! It asks `dl_iterate_phdr` and reads the mapped images. It neither opens nor loads anything, and does not know which
//! Python package a library belongs to (`packages`) or what it computes (`pools`).

use std::collections::HashMap;
use std::ffi::{CStr, c_int, c_void};
use std::path::Path;

use object::elf::ProgramType;
use serde::Serialize;

use crate::Result;
use crate::elf::{Image, Part};
use crate::maps::{Maps, Region};
use crate::spans::Span;

/// What a loaded image is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The executable itself.
    Program,
    /// It exports the function by which Python imports a module of its name.
    Extension,
    /// Any other shared library.
    Library,
    /// The dynamic linker.
    Loader,
    /// The page of code that the kernel maps into every process.
    Vdso,
}

/// A piece of a library with its own rights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Segment {
    /// Its addresses.
    pub span: Span,
    /// The rights as the kernel writes them, such as `r-xp`.
    pub perms: String,
}

/// A loaded image.
#[derive(Debug, Clone)]
pub struct Library {
    /// The file name.
    pub name: String,
    /// The file that is mapped, as the kernel knows it; `None` for the vDSO.
    pub path: Option<String>,
    /// Whether that file is gone, so that what runs is no longer what the path shows.
    pub deleted: bool,
    /// What it is.
    pub kind: Kind,
    /// From its first to its last page.
    pub span: Span,
    /// Its regions that can be read, written or run.
    pub segments: Vec<Segment>,
    /// The name it goes by among libraries.
    pub soname: Option<String>,
    /// The names it needs.
    pub needed: Vec<String>,
    /// The file names of the loaded libraries that need it.
    pub needed_by: Vec<String>,
    /// Search path for itself and its children.
    pub rpath: Option<String>,
    /// Search path for itself.
    pub runpath: Option<String>,
    /// The linker's fingerprint of the file.
    pub build_id: Option<String>,
    /// The mapped image.
    pub image: Image,
}

impl Library {
    /// The bytes it has mapped.
    pub fn size(&self) -> usize {
        self.segments.iter().map(|segment| segment.span.len()).sum()
    }
}

/// All loaded images in the order in which the linker loaded them.
pub fn loaded(maps: &Maps) -> Result<Vec<Library>> {
    let program = std::env::current_exe()
        .ok()
        .map(|path| path.to_string_lossy().into_owned());
    let mut libraries: Vec<Library> = walk()
        .into_iter()
        .enumerate()
        .map(|(index, entry)| library(entry, maps, program.as_deref().filter(|_| index == 0)))
        .collect();
    link(&mut libraries);
    Ok(libraries)
}

fn library(entry: Entry, maps: &Maps, program: Option<&str>) -> Library {
    let image = Image::read(entry.bias, entry.parts);
    let span = image.span();
    let file = maps.within(span).find(|region| region.path().is_some());
    let path = file.and_then(Region::path).or(program).map(str::to_owned);
    let shown = path.as_deref().unwrap_or(&entry.name);
    let name = Path::new(shown)
        .file_name()
        .map_or(shown.into(), |name| name.to_string_lossy().into_owned());
    let kind = match auxiliary() {
        _ if program.is_some() => Kind::Program,
        auxiliary if auxiliary.vdso.is_some_and(|address| span.contains(address)) => Kind::Vdso,
        auxiliary
            if auxiliary
                .loader
                .is_some_and(|address| span.contains(address)) =>
        {
            Kind::Loader
        }
        _ if image.exports(&module_function(&name)) => Kind::Extension,
        _ => Kind::Library,
    };
    Library {
        name,
        path,
        deleted: file.is_some_and(|region| region.deleted),
        kind,
        span,
        segments: segments(maps, span),
        soname: image.soname(),
        needed: image.needed(),
        needed_by: Vec::new(),
        rpath: image.rpath(),
        runpath: image.runpath(),
        build_id: image.build_id(),
        image,
    }
}

/// The function that Python calls when it imports an extension module from a file of this name (PEP 489).
fn module_function(file: &str) -> String {
    let module = file.split('.').next().unwrap_or(file);
    format!("PyInit_{module}")
}

/// The kernel may join the last page of a library with a neighbour, and the loader leaves gaps without any right.
fn segments(maps: &Maps, span: Span) -> Vec<Segment> {
    let usable = maps
        .within(span)
        .filter(|region| !region.perms.starts_with("---"));
    usable
        .map(|region| Segment {
            span: region.span.intersection(span),
            perms: region.perms.clone(),
        })
        .collect()
}

/// Finds who needs whom, as the linker does: the first one loaded under that name serves all.
fn link(libraries: &mut [Library]) {
    let mut by_name: HashMap<String, usize> = HashMap::new();
    for (index, library) in libraries.iter().enumerate() {
        for name in library.soname.iter().chain([&library.name]) {
            by_name.entry(name.clone()).or_insert(index);
        }
    }
    for index in 0..libraries.len() {
        let name = libraries[index].name.clone();
        for needed in libraries[index].needed.clone() {
            if let Some(&target) = by_name.get(&needed) {
                libraries[target].needed_by.push(name.clone());
            }
        }
    }
}

/// Two addresses that the kernel hands to every program.
struct Auxiliary {
    vdso: Option<usize>,
    loader: Option<usize>,
}

#[allow(
    unsafe_code,
    reason = "the kernel's auxiliary vector has no safe reader for these two entries"
)]
fn auxiliary() -> Auxiliary {
    let value = |kind| {
        // SAFETY: `getauxval` takes any number and answers 0 for an unknown one.
        let value = unsafe { libc::getauxval(kind) };
        usize::try_from(value).ok().filter(|&address| address != 0)
    };
    Auxiliary {
        vdso: value(libc::AT_SYSINFO_EHDR),
        loader: value(libc::AT_BASE),
    }
}

/// What the linker says about one image.
struct Entry {
    name: String,
    bias: usize,
    parts: Vec<Part>,
}

#[allow(
    unsafe_code,
    reason = "dl_iterate_phdr is a C function with a callback"
)]
fn walk() -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    // SAFETY: `collect` has the signature that is asked for and gets back the pointer to `entries`, which outlives
    // the call.
    unsafe { libc::dl_iterate_phdr(Some(collect), (&raw mut entries).cast()) };
    entries
}

/// Only copies, since the linker's lock is held here.
#[allow(unsafe_code, reason = "called by the dynamic linker with raw pointers")]
unsafe extern "C" fn collect(
    info: *mut libc::dl_phdr_info,
    _size: usize,
    data: *mut c_void,
) -> c_int {
    // SAFETY: the linker passes a valid description for the length of this call.
    let info = unsafe { &*info };
    // SAFETY: `walk` passed the address of its own vector, which nothing else uses during the walk.
    let entries = unsafe { &mut *data.cast::<Vec<Entry>>() };
    // SAFETY: the linker's names end with NUL and live as long as its lock is held.
    let name = unsafe { CStr::from_ptr(info.dlpi_name) };
    // SAFETY: the linker's headers are mapped and as many as it says.
    let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
    let bias = info.dlpi_addr as usize;
    let parts = headers.iter().map(|header| {
        let start = bias.wrapping_add(header.p_vaddr as usize);
        let span = Span::new(start, start.wrapping_add(header.p_memsz as usize));
        Part {
            kind: ProgramType(header.p_type),
            flags: header.p_flags,
            span,
            align: header.p_align,
        }
    });
    entries.push(Entry {
        name: name.to_string_lossy().into_owned(),
        bias,
        parts: parts.collect(),
    });
    0
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn own() -> Vec<Library> {
        loaded(&Maps::read().unwrap()).unwrap()
    }

    fn libc_of(libraries: &[Library]) -> &Library {
        libraries
            .iter()
            .find(|library| library.name.starts_with("libc.so"))
            .unwrap()
    }

    #[test]
    fn lists_the_program_the_loader_and_the_vdso() {
        let libraries = own();
        assert_eq!(libraries[0].kind, Kind::Program);
        assert_eq!(
            libraries[0].path.as_deref(),
            std::env::current_exe().unwrap().to_str()
        );
        for kind in [Kind::Loader, Kind::Vdso] {
            assert_eq!(
                libraries
                    .iter()
                    .filter(|library| library.kind == kind)
                    .count(),
                1,
                "{kind:?}"
            );
        }
    }

    #[test]
    fn paths_are_the_executable_files_of_maps() {
        let mut listed: Vec<String> = own()
            .into_iter()
            .filter_map(|library| library.path)
            .collect();
        let regions = Maps::read().unwrap().regions;
        let code = regions.iter().filter(|region| region.is_executable());
        let mut mapped: Vec<String> = code.filter_map(Region::path).map(str::to_owned).collect();
        listed.sort_unstable();
        mapped.sort_unstable();
        mapped.dedup();
        assert_eq!(listed, mapped);
    }

    #[test]
    fn elf_facts_agree_with_readelf() {
        let libraries = own();
        let program = &libraries[0];
        let output = Command::new("readelf")
            .args(["-d", "-n", "-W"])
            .arg(program.path.as_ref().unwrap())
            .output();
        let text = String::from_utf8(output.unwrap().stdout).unwrap();
        let field = |mark: &str| -> Vec<String> {
            let after = text.lines().filter_map(|line| line.split_once(mark));
            after
                .map(|(_, value)| value.trim_end_matches(']').trim().to_owned())
                .collect()
        };
        assert_eq!(program.needed, field("Shared library: ["));
        assert_eq!(
            program.build_id.clone().into_iter().collect::<Vec<_>>(),
            field("Build ID: ")
        );
        assert!(!program.needed.is_empty());
    }

    #[test]
    fn exports_are_found_by_name() {
        let libraries = own();
        let libc = libc_of(&libraries);
        assert!(libc.image.exports("malloc") && libc.image.exports("dl_iterate_phdr"));
        assert!(!libc.image.exports("mallocx") && !libc.image.exports(""));
        assert_eq!(libc.soname.as_deref(), Some("libc.so.6"));
        assert!(libc.needed_by.contains(&libraries[0].name));
    }

    #[test]
    fn the_code_of_a_library_lies_in_its_executable_segment() {
        let libraries = own();
        let libc = libc_of(&libraries);
        let address = libc::getpid as *const () as usize;
        let segment = libc
            .segments
            .iter()
            .find(|segment| segment.span.contains(address))
            .unwrap();
        assert_eq!(segment.perms, "r-xp");
        assert!(libc.size() <= libc.span.len());
    }
}
