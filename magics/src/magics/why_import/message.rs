//! What the dynamic linker, or Python's import, said: which of its messages it is, and the names in it.

use diaphane_forks::ForkOnce;

use regex::Regex;
use serde::Serialize;

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) enum FailureKind {
    /// A library was found nowhere, or could not be opened.
    #[serde(rename = "missing library")]
    Library,
    /// A library was found, but lacks a version of its symbols.
    #[serde(rename = "missing version")]
    Version,
    /// No library that is in reach defines a name.
    #[serde(rename = "undefined symbol")]
    Symbol,
    /// There is no room left for thread-local variables that must lie in every thread's first block.
    #[serde(rename = "static TLS")]
    StaticTls,
    /// The file is for another kind of process.
    #[serde(rename = "wrong ELF class")]
    Class,
    /// The file is no shared library at all.
    #[serde(rename = "no library")]
    NoLibrary,
    /// The system refuses an executable stack.
    #[serde(rename = "executable stack")]
    ExecutableStack,
    /// The file is a library, and no Python module of that name.
    #[serde(rename = "no module")]
    NoModule,
}

/// A message, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub kind: FailureKind,
    /// The file that the message is about; for a missing library its name.
    pub file: String,
    /// What is missing: a library, a symbol, a version, a function.
    pub missing: String,
    /// Who asked for it, where the message says so.
    pub required_by: Option<String>,
}

/// The messages of glibc's linker and of CPython, each with the names that it gives.
const FORMS: &[(FailureKind, &str)] = &[
    (
        FailureKind::Version,
        r"(?m)(?P<file>[^\s:][^:\n]*): version `(?P<missing>[^'\n]+)' not found \(required by (?P<by>.+)\)",
    ),
    (
        FailureKind::Version,
        r"(?m)(?P<by>[^\s:][^:\n]*): symbol [^,\n]+, version (?P<missing>\S+) not defined in file (?P<file>\S+) with link time reference",
    ),
    (
        FailureKind::Symbol,
        r"(?m)(?P<file>[^\s:][^:\n]*): undefined symbol: (?P<missing>[^\s,]+)",
    ),
    (
        FailureKind::StaticTls,
        r"(?m)(?P<file>[^\s:][^:\n]*): cannot allocate memory in static TLS block",
    ),
    (
        FailureKind::Class,
        r"(?m)(?P<file>[^\s:][^:\n]*): wrong ELF class: (?P<missing>\S+)",
    ),
    (
        FailureKind::NoLibrary,
        r"(?m)(?P<file>[^\s:][^:\n]*): (?:invalid ELF header|file too short|only ET_DYN and ET_EXEC can be loaded|ELF file's phentsize .*)",
    ),
    (
        FailureKind::ExecutableStack,
        r"(?m)(?P<file>[^\s:][^:\n]*): cannot enable executable stack",
    ),
    (
        FailureKind::Library,
        r"(?m)(?P<file>[^\s:][^:\n]*): cannot open shared object file",
    ),
    (
        FailureKind::NoModule,
        r"dynamic module does not define module export function \((?P<missing>[^)]+)\)",
    ),
];

fn patterns() -> &'static [(FailureKind, Regex)] {
    static PATTERNS: ForkOnce<Vec<(FailureKind, Regex)>> = ForkOnce::new();
    PATTERNS.get_or_init(|| {
        let compiled = FORMS
            .iter()
            .map(|(kind, form)| Some((*kind, Regex::new(form).ok()?)));
        compiled.flatten().collect()
    })
}

impl Failure {
    /// Takes a message apart, wherever in a longer text it stands; `None` for one that no loader writes.
    pub fn parse(message: &str) -> Option<Self> {
        let (kind, found) = patterns()
            .iter()
            .find_map(|(kind, pattern)| Some((*kind, pattern.captures(message)?)))?;
        let name = |name: &str| found.name(name).map(|text| text.as_str().to_owned());
        let file = name("file").unwrap_or_default();
        Some(Self {
            kind,
            missing: name("missing").unwrap_or_else(|| file.clone()),
            required_by: name("by"),
            file,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(message: &str) -> (FailureKind, String, String, Option<String>) {
        let failure = Failure::parse(message).unwrap();
        (
            failure.kind,
            failure.file,
            failure.missing,
            failure.required_by,
        )
    }

    #[test]
    fn the_linkers_messages_are_understood() {
        let text = str::to_owned;
        assert_eq!(
            parsed("libfoo.so.1: cannot open shared object file: No such file or directory"),
            (
                FailureKind::Library,
                text("libfoo.so.1"),
                text("libfoo.so.1"),
                None
            )
        );
        assert_eq!(
            parsed(
                "/usr/lib/libstdc++.so.6: version `GLIBCXX_3.4.99' not found (required by /a b/x.so)"
            ),
            (
                FailureKind::Version,
                text("/usr/lib/libstdc++.so.6"),
                text("GLIBCXX_3.4.99"),
                Some(text("/a b/x.so"))
            )
        );
        assert_eq!(
            parsed("Importing failed.\n\nOriginal error was: /x/_m.so: undefined symbol: _ZN1aE, version V1\n").2,
            "_ZN1aE"
        );
        assert_eq!(
            parsed(
                "/x/a.so: symbol f, version V2 not defined in file libb.so.1 with link time reference"
            ),
            (
                FailureKind::Version,
                text("libb.so.1"),
                text("V2"),
                Some(text("/x/a.so"))
            )
        );
        assert_eq!(
            parsed("/x/a.so: wrong ELF class: ELFCLASS32").2,
            "ELFCLASS32"
        );
        assert_eq!(parsed("/x/a.so: file too short").0, FailureKind::NoLibrary);
        assert_eq!(
            parsed("/x/a.so: cannot allocate memory in static TLS block").0,
            FailureKind::StaticTls
        );
        assert_eq!(
            parsed("dynamic module does not define module export function (PyInit_a)"),
            (FailureKind::NoModule, String::new(), text("PyInit_a"), None)
        );
    }

    #[test]
    fn other_messages_are_left_alone() {
        for message in [
            "No module named 'x'",
            "",
            "[Errno 2] No such file or directory: 'a.so'",
        ] {
            assert_eq!(Failure::parse(message), None);
        }
        assert_eq!(patterns().len(), FORMS.len());
    }
}
