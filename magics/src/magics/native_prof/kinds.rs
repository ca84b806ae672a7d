//! What kind of code a function is, by its library and its name.

use diaphane_cpython::symbols::is_interpreter;
use diaphane_sight::linker::libraries::{Library, LibraryKind};
use diaphane_sight::runtimes::families::{Family, family};
use diaphane_sight::runtimes::pool_libraries::{Api, runtime};
use serde::Serialize;

use diaphane_report::Ink;
use diaphane_report::flame::ink;

/// Whose code runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CodeKind {
    Python,
    Interpreter,
    Extension,
    Blas,
    OpenMp,
    Rust,
    Libc,
    Native,
    #[serde(rename = "GIL wait")]
    GilWait,
    Wait,
    /// IPython and the kernel, on behalf of the user's code.
    Jupyter,
}

impl CodeKind {
    /// Every kind, in the order of reports.
    pub(crate) const ALL: [Self; 11] = [
        Self::Python,
        Self::Interpreter,
        Self::Extension,
        Self::Blas,
        Self::OpenMp,
        Self::Rust,
        Self::Libc,
        Self::Native,
        Self::GilWait,
        Self::Wait,
        Self::Jupyter,
    ];

    /// In one or two words.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Python => "Python",
            Self::Interpreter => "interpreter",
            Self::Extension => "extension",
            Self::Blas => "BLAS",
            Self::OpenMp => "OpenMP",
            Self::Rust => "Rust",
            Self::Libc => "libc",
            Self::Native => "native",
            Self::GilWait => "GIL wait",
            Self::Wait => "wait",
            Self::Jupyter => "IPython",
        }
    }

    /// Its colour.
    pub(crate) fn ink(self) -> Ink {
        ink(self.word())
    }

    /// The kind of a function with this name, which may be unknown, in a library.
    pub(crate) fn of(name: Option<&str>, library: &Library) -> Self {
        let api = runtime(library).map(|runtime| runtime.api);
        if name.is_some_and(is_rust) {
            return Self::Rust;
        }
        match api {
            Some(Api::Blas) => return Self::Blas,
            Some(Api::OpenMp) => return Self::OpenMp,
            None => {}
        }
        if is_interpreter(library) {
            return Self::Interpreter;
        }
        // Rust's and Fortran's libraries compute for those who call them.
        let computes = matches!(family(library), Some(Family::Rust | Family::Fortran));
        match library.kind {
            _ if family(library).is_some() && !computes => Self::Libc,
            LibraryKind::Vdso => Self::Libc,
            LibraryKind::Extension => Self::Extension,
            _ => Self::Native,
        }
    }
}

/// Whether a symbol is one of rustc's: `_R...`, or with a hash at its end.
fn is_rust(name: &str) -> bool {
    let hashed = || {
        let end = name.strip_suffix('E')?;
        let hash = end.get(end.len().checked_sub(16)?..)?;
        let before = end.get(..end.len() - 16)?;
        let is_hash = hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        Some(name.starts_with("_ZN") && before.ends_with("17h") && is_hash)
    };
    name.starts_with("_R") || hashed() == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rust_is_known_by_its_names() {
        assert!(is_rust("_ZN3std2io5Write9write_all17h0123456789abcdefE"));
        assert!(is_rust("_RNvCs1_4core3foo"));
        assert!(!is_rust("_ZN9pocketfft6detail4execE") && !is_rust("dgemm_") && !is_rust("E"));
    }
}
