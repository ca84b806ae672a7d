//! The source line of machine code, from the debug information in the library's file or in its separate debug file.
//!
//! Most libraries have none, and then there is no line.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use addr2line::Loader;
use diaphane_forks::ProcessLock;
use object::{Object, ReadCache};
use serde::Serialize;

use super::remembered::Remembered;
use crate::files;
use crate::linker::libraries::Library;

/// A place in a source file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The file as the compiler saw it.
    pub file: String,
    /// The line in it, from 1 on.
    pub line: u32,
}

/// Reads lines; the files that it has opened for one stay open for the next.
#[derive(Default)]
pub struct Lines(HashMap<PathBuf, Option<Loader>>);

impl Lines {
    /// Knows no lines of a library: to look through the debug information of a large one takes long.
    pub fn leave_out(&mut self, library: &Library) {
        if let Some(path) = &library.file {
            self.0.insert(path.clone(), None);
        }
    }

    /// The line at an address of a library. A file is mapped, and read where the address leads.
    pub fn line(&mut self, address: usize, library: &Library) -> Option<Line> {
        static KNOWN: ProcessLock<Option<Remembered<Option<Line>>>> = ProcessLock::new(|| None);
        let path = library.file.as_deref()?;
        if matches!(self.0.get(path), Some(None)) {
            return None;
        }
        let known = |known: &mut Option<Remembered<_>>| {
            known.get_or_insert_default().get(&library.image, address)
        };
        if let Some(line) = known(&mut KNOWN.lock()) {
            return line;
        }
        let line = self.read(address, library, path);
        let mut known = KNOWN.lock();
        let known = known.get_or_insert_default();
        known.keep(&library.image, address, line.clone());
        line
    }

    fn read(&mut self, address: usize, library: &Library, path: &Path) -> Option<Line> {
        if !self.0.contains_key(path) {
            self.0.insert(path.to_owned(), open(path, library));
        }
        let loader = self.0.get(path)?.as_ref()?;
        let own = address.checked_sub(library.image.bias())? as u64;
        let place = loader.find_location(own).ok()??;
        Some(Line {
            file: place.file?.to_owned(),
            line: place.line?,
        })
    }
}

/// The line at an address of a library.
pub fn line(address: usize, library: &Library) -> Option<Line> {
    Lines::default().line(address, library)
}

fn open(path: &Path, library: &Library) -> Option<Loader> {
    is_the_one(path, library.image.build_id.as_deref())?.then(|| Loader::new(path).ok())?
}

/// Whether the file is still the one that was mapped, and has debug information or names a file that has.
fn is_the_one(path: &Path, build_id: Option<&str>) -> Option<bool> {
    let cache = ReadCache::new(files::open(path).ok()?);
    let file = object::File::parse(&cache).ok()?;
    let found = file.build_id().ok().flatten();
    let found = found.map(|bytes| {
        bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    });
    let has = |section: &str| file.section_by_name(section).is_some();
    let separate = || {
        let (head, tail) = build_id?.split_at_checked(2)?;
        Path::new(&format!("/usr/lib/debug/.build-id/{head}/{tail}.debug"))
            .exists()
            .then_some(())
    };
    let known = has(".debug_line") || has(".gnu_debuglink") || separate().is_some();
    Some(known && found.as_deref() == build_id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linker::libraries;
    use crate::proc::maps::Maps;

    #[test]
    fn this_function_is_in_this_file() {
        let libraries = libraries::loaded(&Maps::read().unwrap()).unwrap();
        let address = this_function_is_in_this_file as *const () as usize;
        let found = line(address, &libraries[0]).unwrap();
        assert!(found.file.ends_with("sight/src/code/lines.rs"), "{found:?}");
        assert!(found.line.abs_diff(line!()) < 12, "{found:?}");
        let libc = libraries
            .iter()
            .find(|library| library.name.starts_with("libc.so"))
            .unwrap();
        assert_eq!(line(libc.span.start, libc), None);
    }
}
