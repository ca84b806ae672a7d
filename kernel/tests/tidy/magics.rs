//! The magics' house: what a magic may know.

use super::{Source, complain, lines_with, rust_outside, sources};

/// Where the magics are, one file each.
const MAGICS: &str = "magics/src/magics/";
/// Who may know them by their types: the list of all, the door to Python, and the crate's own front page.
const KNOWS_MAGICS: [&str; 3] = [
    "magics/src/registry.rs",
    "magics/src/api/",
    "magics/src/lib.rs",
];

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
