//! Out of which libraries calls are hooked: extension modules, Rust cells, and what was loaded for them alone.
//!
//! Calls within the interpreter, the C library and the runtimes of languages are their own business, and far too many.

use diaphane_cpython::symbols::is_interpreter;
use diaphane_sight::linker::libraries::{Kind, Library};

/// Libraries that every compiled program brings along.
const RUNTIMES: &[&str] = &[
    "libc.",
    "libc-",
    "libm.",
    "libm-",
    "libdl",
    "librt",
    "libpthread",
    "ld-linux",
    "libgcc_s",
    "libstdc++",
    "libstd-",
    "libc++",
    "libgfortran",
    "libquadmath",
    "libutil",
];

/// What a library is to a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Its calls are not hooked.
    Apart,
    /// An extension module of the standard library: a part of the interpreter, so only calls out of that count.
    Standard,
    /// An extension module or a Rust cell, or a library that came with one.
    Foreign,
}

/// The roles of all libraries, in the order of the list.
pub(super) struct Choice(Vec<Role>);

impl Choice {
    pub(super) fn of(libraries: &[Library]) -> Self {
        let mut roles: Vec<Role> = libraries.iter().map(first).collect();
        let named = |name: &str| libraries.iter().position(|library| library.name == name);
        // What only foreign libraries need is foreign; each round reaches one step farther.
        loop {
            let joins = |index: usize| {
                let library = &libraries[index];
                let is_foreign =
                    |name: &String| named(name).is_some_and(|user| roles[user] == Role::Foreign);
                roles[index] == Role::Apart
                    && library.kind == Kind::Library
                    && !is_runtime(library)
                    && !library.needed_by.is_empty()
                    && library.needed_by.iter().all(is_foreign)
            };
            let joined: Vec<usize> = (0..libraries.len()).filter(|&index| joins(index)).collect();
            if joined.is_empty() {
                return Self(roles);
            }
            joined
                .into_iter()
                .for_each(|index| roles[index] = Role::Foreign);
        }
    }

    /// Whether calls out of the library at this place are hooked.
    pub(super) fn is_caller(&self, index: usize) -> bool {
        self.0[index] != Role::Apart
    }

    /// Whether the library at this place is no part of Python.
    pub(super) fn is_foreign(&self, index: usize) -> bool {
        self.0[index] == Role::Foreign
    }

    /// Whether a call out of the library at this place into another one is hooked.
    pub(super) fn crosses(&self, index: usize, into: &Library) -> bool {
        match self.0[index] {
            Role::Apart => false,
            Role::Standard => !is_interpreter(into) && !is_runtime(into),
            Role::Foreign => true,
        }
    }
}

fn first(library: &Library) -> Role {
    let path = library.path.as_deref().unwrap_or_default();
    match library.kind {
        Kind::Extension if path.contains("/lib-dynload/") => Role::Standard,
        Kind::Extension | Kind::Cell => Role::Foreign,
        _ => Role::Apart,
    }
}

/// Whether it is what every compiled program brings along.
pub(crate) fn is_runtime(library: &Library) -> bool {
    library.kind == Kind::Loader
        || RUNTIMES
            .iter()
            .any(|runtime| library.name.starts_with(runtime))
}
