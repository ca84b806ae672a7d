//! The libraries that programs are built on: the C library, the linker, and the runtimes of languages.
//!
//! They are recognised by the names of their files, and belong to nobody who asked for them. This is the one list of them;
//! each caller says which families it means. Libraries with pools of threads are in `pool_libraries`.

use crate::linker::libraries::{Library, LibraryKind};

/// What a runtime library is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// The C library, and the parts of it that older versions have in files of their own.
    C,
    /// The C library's mathematics.
    Math,
    /// The dynamic linker.
    Linker,
    /// What compilers call for themselves: unwinding and wide arithmetic.
    Compiler,
    /// C++'s standard library.
    Cpp,
    /// Rust's standard library.
    Rust,
    /// Fortran's library.
    Fortran,
}

/// How their names begin.
const NAMES: &[(&str, Family)] = &[
    ("libc.", Family::C),
    ("libc-", Family::C),
    ("libpthread", Family::C),
    ("libdl.", Family::C),
    ("libdl-", Family::C),
    ("librt.", Family::C),
    ("librt-", Family::C),
    ("libutil.", Family::C),
    ("libutil-", Family::C),
    ("libresolv.", Family::C),
    ("libresolv-", Family::C),
    ("libm.", Family::Math),
    ("libm-", Family::Math),
    ("libmvec", Family::Math),
    ("ld-linux", Family::Linker),
    ("ld-musl", Family::Linker),
    ("libgcc_s", Family::Compiler),
    ("libquadmath", Family::Compiler),
    ("libstdc++", Family::Cpp),
    ("libc++", Family::Cpp),
    ("libstd-", Family::Rust),
    ("libgfortran", Family::Fortran),
];

/// Whether a library, or the program, is CPython itself.
#[must_use]
pub fn is_cpython(library: &Library) -> bool {
    library.image.exports("Py_GetVersion")
}

/// The family of a loaded library, if it is such a one.
#[must_use]
pub fn family(library: &Library) -> Option<Family> {
    match library.kind {
        LibraryKind::Loader => Some(Family::Linker),
        _ => family_of_name(&library.name),
    }
}

/// The same by the name of a file, as libraries name what they need.
#[must_use]
pub fn family_of_name(name: &str) -> Option<Family> {
    let mut names = NAMES.iter();
    let found = names.find(|(start, _)| name.starts_with(start));
    found.map(|(_, family)| *family)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linker::libraries;
    use crate::proc::maps::Maps;

    #[test]
    fn names_are_told_apart() {
        let cases = [
            ("libc.so.6", Some(Family::C)),
            ("libc-2.28.so", Some(Family::C)),
            ("libc++.so.1", Some(Family::Cpp)),
            ("libcblas.so.3", None),
            ("libmkl_rt.so.2", None),
            ("libm.so.6", Some(Family::Math)),
            ("librtmidi.so", None),
            ("libstd-0123456789abcdef.so", Some(Family::Rust)),
            ("libgfortran-040039e1.so.5", Some(Family::Fortran)),
            ("_multiarray_umath.so", None),
        ];
        for (name, expected) in cases {
            assert_eq!(family_of_name(name), expected, "{name}");
        }
    }

    #[test]
    fn the_linker_is_known_by_what_it_is() {
        let libraries = libraries::loaded(&Maps::read().unwrap()).unwrap();
        let mut linkers = libraries
            .iter()
            .filter(|one| one.kind == LibraryKind::Loader);
        assert!(linkers.all(|one| family(one) == Some(Family::Linker)));
    }
}
