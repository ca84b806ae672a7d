//! The libraries of this process, as the dynamic linker lists them, joined with the kernel's regions; those of another
//! process by its regions alone.
//!
//! It neither opens nor loads anything, and does not know which Python package a library belongs to (`packages`) or
//! what it computes (`runtimes::pool_libraries`).

mod other_process;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use crate::elf::image::Image;
use crate::error::Result;
use crate::linker::link_map::{Auxiliary, Entry, entries};
use crate::proc::maps::{Maps, Region};
use crate::proc::spans::Span;

pub use other_process::loaded_by;

/// The entry of a Rust cell.
const CELL_ENTRY: &str = "diaphane_main";

/// What a loaded image is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LibraryKind {
    /// The executable itself.
    Program,
    /// It exports the function by which Python imports a module of its name.
    Extension,
    /// A Rust cell that was compiled and loaded: it exports a cell's entry.
    Cell,
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
    /// The path by which the linker loaded it; empty for the program.
    pub linker_name: String,
    /// The file that is mapped, as the kernel knows it; `None` for the vDSO. Of a file that is gone it is the linker's
    /// name, since installers move a file out of their way before they delete it.
    pub path: Option<String>,
    /// Whether that file is gone, so that what runs is no longer what the path shows.
    pub deleted: bool,
    /// Where its file can be read, which is elsewhere for a process in a container; `None` if it is gone.
    pub file: Option<PathBuf>,
    /// What it is.
    pub kind: LibraryKind,
    /// From its first to its last page.
    pub span: Span,
    /// Its regions that can be read, written or run.
    pub segments: Vec<Segment>,
    /// The file names of the loaded libraries that need it.
    pub needed_by: Vec<String>,
    /// What its image says about itself.
    pub image: Arc<Image>,
}

impl Library {
    /// The bytes it has mapped.
    pub fn size(&self) -> usize {
        self.segments.iter().map(|segment| segment.span.len()).sum()
    }
}

/// What is loaded at this moment.
pub fn now() -> Result<Vec<Library>> {
    loaded(&Maps::read()?)
}

/// All loaded images in the order in which the linker loaded them.
pub fn loaded(maps: &Maps) -> Result<Vec<Library>> {
    let program = std::env::current_exe()
        .ok()
        .map(|path| path.to_string_lossy().into_owned());
    let auxiliary = Auxiliary::read();
    let mut libraries = Vec::new();
    for entry in entries() {
        let program = program.as_deref().filter(|_| libraries.is_empty());
        libraries.push(library(entry, maps, program, &auxiliary));
    }
    link(&mut libraries);
    Ok(libraries)
}

fn library(entry: Entry, maps: &Maps, program: Option<&str>, auxiliary: &Auxiliary) -> Library {
    let span = entry.image.span();
    let file = maps.within(span).find(|region| region.path().is_some());
    let deleted = file.is_some_and(|region| region.deleted);
    let asked = Some(entry.name.as_str()).filter(|name| deleted && name.starts_with('/'));
    let path = asked.or(file.and_then(Region::path)).or(program);
    let path = path.map(str::to_owned);
    let shown = path.as_deref().unwrap_or(&entry.name);
    let name = Path::new(shown)
        .file_name()
        .map_or(shown.into(), |name| name.to_string_lossy().into_owned());
    let holds = |address: Option<usize>| address.is_some_and(|address| span.contains(address));
    let kind = match &entry.image {
        _ if program.is_some() => LibraryKind::Program,
        _ if holds(auxiliary.vdso) => LibraryKind::Vdso,
        _ if holds(auxiliary.loader) => LibraryKind::Loader,
        image if image.is_python_module => LibraryKind::Extension,
        image if image.exports(CELL_ENTRY) => LibraryKind::Cell,
        _ => LibraryKind::Library,
    };
    let segments = segments(maps, span);
    Library {
        name,
        linker_name: entry.name,
        file: path.clone().filter(|_| !deleted).map(PathBuf::from),
        path,
        deleted,
        kind,
        span,
        segments,
        needed_by: Vec::new(),
        image: entry.image,
    }
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
    let mut by_name: HashMap<&str, usize> = HashMap::new();
    for (index, library) in libraries.iter().enumerate() {
        for name in library.image.soname.iter().chain([&library.name]) {
            by_name.entry(name).or_insert(index);
        }
    }
    let mut needed_by: Vec<Vec<String>> = vec![Vec::new(); libraries.len()];
    for library in &*libraries {
        let needed = library.image.needed.iter();
        for target in needed.filter_map(|name| by_name.get(name.as_str())) {
            needed_by[*target].push(library.name.clone());
        }
    }
    for (library, needed_by) in libraries.iter_mut().zip(needed_by) {
        library.needed_by = needed_by;
    }
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
        assert_eq!(libraries[0].kind, LibraryKind::Program);
        assert_eq!(
            libraries[0].path.as_deref(),
            std::env::current_exe().unwrap().to_str()
        );
        for kind in [LibraryKind::Loader, LibraryKind::Vdso] {
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
        assert_eq!(program.image.needed, field("Shared library: ["));
        assert_eq!(
            program
                .image
                .build_id
                .clone()
                .into_iter()
                .collect::<Vec<_>>(),
            field("Build ID: ")
        );
        assert!(!program.image.needed.is_empty());
    }

    #[test]
    fn exports_are_found_by_name() {
        let libraries = own();
        let libc = libc_of(&libraries);
        assert!(libc.image.exports("malloc") && libc.image.exports("dl_iterate_phdr"));
        assert!(!libc.image.exports("mallocx") && !libc.image.exports(""));
        assert_eq!(libc.image.soname.as_deref(), Some("libc.so.6"));
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
