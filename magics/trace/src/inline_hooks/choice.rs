//! Which libraries may be hooked at their functions' entries, and which usually are.

use std::collections::HashSet;

use diaphane_sight::linker::libraries::{Library, LibraryKind};
use diaphane_sight::runtimes::families::{Family, family, is_cpython};

/// A library that provides one of these is never changed: the recorder, a signal handler or a thread that is about to
/// stop may call it at any time.
const NEEDED: [&str; 8] = [
    "__libc_start_main",
    "malloc",
    "memcpy",
    "pthread_create",
    "dlopen",
    "clock_gettime",
    "_Unwind_RaiseException",
    "__cxa_throw",
];
/// Folders of the system's libraries.
const SYSTEM: [&str; 3] = ["/lib", "/usr/lib", "/usr/local/lib"];

/// Whether a library may be changed.
#[must_use]
pub fn may_be_hooked(library: &Library) -> bool {
    let own = may_be_hooked as *const () as usize;
    let is_file = matches!(
        library.kind,
        LibraryKind::Extension | LibraryKind::Cell | LibraryKind::Library
    );
    let exports = |name: &&str| library.image.exports(name);
    is_file
        && !library.span.contains(own)
        && !matches!(family(library), Some(Family::C | Family::Math))
        && !NEEDED.iter().any(exports)
}

/// The libraries that are hooked unless somebody chooses: Python, its extension modules, Rust cells, and what came with these.
#[must_use]
pub fn usual(libraries: &[Library]) -> Vec<&Library> {
    let mut needed: HashSet<&str> = HashSet::new();
    let mut chosen: Vec<&Library> = Vec::new();
    // What a library needs was loaded behind it, or earlier for another one: until nothing is added.
    loop {
        let before = chosen.len();
        for library in libraries {
            let names = [Some(library.name.as_str()), library.image.soname.as_deref()];
            let wanted = matches!(library.kind, LibraryKind::Extension | LibraryKind::Cell)
                || is_cpython(library)
                || names
                    .into_iter()
                    .flatten()
                    .any(|name| needed.contains(name))
                    && is_private(library);
            let known = chosen.iter().any(|one| std::ptr::eq(*one, library));
            if known || !wanted || !may_be_hooked(library) {
                continue;
            }
            chosen.push(library);
            needed.extend(library.image.needed.iter().map(String::as_str));
        }
        if chosen.len() == before {
            return chosen;
        }
    }
}

/// Whether a library came with a package of Python's, or computes with arrays, as far as its file tells.
fn is_private(library: &Library) -> bool {
    let path = library.path.as_deref().unwrap_or("");
    let of_the_system =
        SYSTEM.iter().any(|folder| path.starts_with(folder)) && !path.contains("-packages/");
    let computes = ["blas", "lapack", "fftw", "mkl"];
    !of_the_system || computes.iter().any(|name| library.name.contains(name))
}
