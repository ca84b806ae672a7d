//! The magics' house: what a magic may know, and what types are called.

use std::collections::BTreeMap;

use super::{Source, complain, lines_with, rust_outside, sources};

/// Where the magics are, one file each.
const MAGICS: &str = "magics/src/magics/";
/// Who may know them by their types: the list of all, the door to Python, and the crate's own front page.
const KNOWS_MAGICS: [&str; 3] = [
    "magics/src/registry.rs",
    "magics/src/api/",
    "magics/src/lib.rs",
];
/// Each is one crate.
const CRATES: [&str; 2] = ["magics/src/", "magics/report/src/"];

#[test]
fn no_magic_knows_another() {
    let magics: Vec<Source> = sources()
        .into_iter()
        .filter(|source| source.path.starts_with("magics/src/"))
        .filter(|source| !KNOWS_MAGICS.iter().any(|one| source.path.starts_with(one)))
        .collect();
    complain(magics, |source| {
        let own = source.path.strip_prefix(MAGICS).unwrap_or_default();
        let own = own.split(['/', '.']).next().unwrap_or_default();
        lines_with(source, |line| {
            let mut others = line.split("crate::magics::").skip(1);
            others.any(|other| own.is_empty() || other.split([':', ';', ' ']).next() != Some(own))
        })
    });
}

#[test]
fn names_of_types_stand_for_one_thing() {
    for folder in CRATES {
        let mut known: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for source in sources() {
            if source.path.starts_with(folder) && source.path.ends_with(".rs") {
                let types = source.text.lines().filter_map(name_of_type);
                for name in types {
                    known.entry(name).or_default().push(source.path.clone());
                }
            }
        }
        assert!(!known.is_empty(), "{folder} has no type");
        let twice: Vec<_> = known
            .iter()
            .filter(|(_, places)| places.len() > 1)
            .map(|(name, places)| format!("{name}: {}", places.join(", ")))
            .collect();
        assert!(
            twice.is_empty(),
            "these names stand for several things in one crate:\n{}",
            twice.join("\n")
        );
    }
}

/// The name of a type that can be seen outside of its file and is declared on this line.
fn name_of_type(line: &str) -> Option<String> {
    let rest = line.strip_prefix("pub")?;
    let rest = match rest.strip_prefix('(') {
        Some(limited) => limited.split_once(") ")?.1,
        None => rest.trim_start(),
    };
    let (kind, rest) = rest.split_once(' ')?;
    let is_type = ["struct", "enum", "trait", "type", "union"].contains(&kind);
    let letters = |letter: char| letter.is_alphanumeric() || letter == '_';
    let end = rest.find(|letter| !letters(letter)).unwrap_or(rest.len());
    is_type.then(|| rest[..end].to_owned())
}

#[test]
fn the_python_half_imports_nothing_of_other_kernels() {
    let strangers = ["ipykernel", "zmq", "tornado", "jupyter_client"];
    let ours = sources()
        .into_iter()
        .filter(|source| source.path.starts_with("kernel/python/") && source.path.ends_with(".py"));
    complain(ours.collect(), |source| {
        lines_with(source, |line| {
            let mut words = line.trim_start().split([' ', '.', ',']);
            let imports = matches!(words.next(), Some("import" | "from"));
            imports && words.next().is_some_and(|name| strangers.contains(&name))
        })
    });
}

#[test]
fn a_report_is_made_of_plain_data() {
    let others = rust_outside(&[])
        .into_iter()
        .filter(|source| source.path.starts_with("magics/report/src/"));
    complain(others.collect(), |source| {
        lines_with(source, |line| {
            ["pyo3", "clap", "diaphane_sight"]
                .iter()
                .any(|stranger| super::names_crate(line, stranger))
                || line.contains("\"/proc")
        })
    });
}
