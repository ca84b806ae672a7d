//! Out of which libraries calls are hooked: extension modules, Rust cells, and what was loaded for them alone.
//!
//! Calls within the interpreter, the C library and the runtimes of languages are their own business, and far too many.

use diaphane_cpython::symbols::is_interpreter;
use diaphane_sight::linker::libraries::{Library, LibraryKind};
use diaphane_sight::runtimes::families::family;

/// What a library is to a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LibraryRole {
    /// Its calls are not hooked.
    Apart,
    /// An extension module of the standard library: a part of the interpreter, so only calls out of that count.
    Standard,
    /// An extension module or a Rust cell, or a library that came with one.
    Foreign,
}

/// The roles of all libraries, in the order of the list.
pub(super) struct CallerChoice(Vec<LibraryRole>);

impl CallerChoice {
    pub(super) fn of(libraries: &[Library]) -> Self {
        let mut roles: Vec<LibraryRole> = libraries.iter().map(first).collect();
        let named = |name: &str| libraries.iter().position(|library| library.name == name);
        // What only foreign libraries need is foreign; each round reaches one step farther.
        loop {
            let joins = |index: usize| {
                let library = &libraries[index];
                let is_foreign = |name: &String| {
                    named(name).is_some_and(|user| roles[user] == LibraryRole::Foreign)
                };
                roles[index] == LibraryRole::Apart
                    && library.kind == LibraryKind::Library
                    && family(library).is_none()
                    && !library.needed_by.is_empty()
                    && library.needed_by.iter().all(is_foreign)
            };
            let joined: Vec<usize> = (0..libraries.len()).filter(|&index| joins(index)).collect();
            if joined.is_empty() {
                return Self(roles);
            }
            joined
                .into_iter()
                .for_each(|index| roles[index] = LibraryRole::Foreign);
        }
    }

    /// Whether calls out of the library at this place are hooked.
    pub(super) fn is_caller(&self, index: usize) -> bool {
        self.0[index] != LibraryRole::Apart
    }

    /// Whether the library at this place is no part of Python.
    pub(super) fn is_foreign(&self, index: usize) -> bool {
        self.0[index] == LibraryRole::Foreign
    }

    /// Whether a call out of the library at this place into another one is hooked.
    pub(super) fn crosses(&self, index: usize, into: &Library) -> bool {
        match self.0[index] {
            LibraryRole::Apart => false,
            LibraryRole::Standard => !is_interpreter(into) && family(into).is_none(),
            LibraryRole::Foreign => true,
        }
    }
}

fn first(library: &Library) -> LibraryRole {
    let path = library.path.as_deref().unwrap_or_default();
    match library.kind {
        LibraryKind::Extension if path.contains("/lib-dynload/") => LibraryRole::Standard,
        LibraryKind::Extension | LibraryKind::Cell => LibraryRole::Foreign,
        _ => LibraryRole::Apart,
    }
}
