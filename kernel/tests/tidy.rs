//! The rules of the house that a machine can check: who may use what, and how a source file looks.
//!
//! It reads the sources as text, and so sees names and not types; what clippy can see is left to clippy.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "tidy/asm.rs"]
mod asm;
#[path = "tidy/invariants.rs"]
mod invariants;
#[path = "tidy/locks.rs"]
mod locks;
#[path = "tidy/magics.rs"]
mod magics;
#[path = "tidy/processors.rs"]
mod processors;
#[path = "tidy/rooms.rs"]
mod rooms;
#[path = "tidy/type_names.rs"]
mod type_names;
#[path = "tidy/unsafe_code.rs"]
mod unsafe_code;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use unsafe_code::UNSAFE;

/// No file is longer.
const LONGEST_FILE: usize = 400;

/// A source file: its path from the repository's root, and its text.
struct Source {
    path: String,
    text: String,
}

#[test]
fn a_file_is_short_and_opens_by_saying_what_it_is() {
    complain(sources(), |source| {
        let doc = if source.path.ends_with(".rs") {
            "//!"
        } else {
            "\"\"\""
        };
        let first = source
            .text
            .lines()
            .find(|line| !line.starts_with("#!"))
            .unwrap_or_default();
        let length = source.text.lines().count();
        [
            (length > LONGEST_FILE)
                .then(|| format!("{length} lines; {LONGEST_FILE} are the most, so divide it")),
            (!first.starts_with(doc)).then(|| format!("does not open with {doc} and what it is")),
        ]
        .into_iter()
        .flatten()
        .collect()
    });
}

#[test]
fn no_work_is_left_in_a_comment() {
    // Put together here, so that this file does not name them.
    let words = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
    ];
    complain(sources(), |source| {
        lines_with(source, |line| words.iter().any(|word| line.contains(word)))
    });
}

#[test]
fn sockets_belong_to_the_io_thread() {
    // The installer asks libzmq whether it has CURVE, and opens no socket.
    let allowed = ["kernel/src/io/", "kernel/src/install"];
    complain(rust_outside(&allowed), |source| {
        lines_with(source, |line| names_crate(line, "zmq"))
    });
}

#[test]
fn python_is_met_in_the_host_and_in_the_magics() {
    complain(
        rust_outside(&[
            "kernel/extension/src/",
            "kernel/src/embed/",
            "kernel/src/host/",
            "magics/cpython/src/",
            "magics/src/",
            "magics/tests/",
        ]),
        |source| {
            lines_with(source, |line| {
                names_crate(line, "pyo3") || names_crate(line, "numpy")
            })
        },
    );
}

#[test]
fn the_lower_crates_know_neither_python_nor_sockets() {
    for manifest in [
        "kernel/wire/Cargo.toml",
        "magics/rust/cell/Cargo.toml",
        "magics/rust/protocol/Cargo.toml",
        "magics/forks/Cargo.toml",
        "magics/report/Cargo.toml",
        "magics/sight/Cargo.toml",
        "magics/trace/Cargo.toml",
    ] {
        let text = fs::read_to_string(root().join(manifest)).unwrap();
        for stranger in ["pyo3", "numpy", "zmq", "diaphane-magics"] {
            let depends = |line: &str| line.split(['.', ' ', '=']).next() == Some(stranger);
            assert!(
                !text.lines().any(depends),
                "{manifest} depends on {stranger}, which is for the crates above it"
            );
        }
    }
}

#[test]
fn unsafe_code_stands_in_few_known_places() {
    let forms = ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern"];
    let is_unsafe = |line: &str| forms.iter().any(|form| line.contains(form));
    let mut allowed: Vec<_> = UNSAFE.iter().map(|(path, _)| *path).collect();
    allowed.push("kernel/tests/tidy.rs");
    complain(rust_outside(&allowed), |source| {
        lines_with(source, is_unsafe)
    });
    for (path, why) in UNSAFE {
        let is_used =
            |source: &Source| source.path.starts_with(path) && source.text.lines().any(is_unsafe);
        let used = sources().iter().any(is_used);
        assert!(
            used,
            "{path} may hold unsafe code ({why}) and holds none: take it off the list"
        );
    }
}

#[test]
fn every_magic_is_named_in_the_readme() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let magics: Vec<_> = sources().iter().flat_map(names_of_magics).collect();
    assert!(!magics.is_empty(), "no magic was found by its NAME");
    for name in magics {
        assert!(
            readme.contains(&format!("%{name}")),
            "README.md does not name %{name}"
        );
    }
}

#[test]
fn every_diagnosis_has_a_page_of_its_own() {
    let folder = root().join("docs/diagnoses");
    let index = fs::read_to_string(folder.join("README.md")).unwrap();
    let pages = fs::read_dir(&folder).unwrap().map(|page| page.unwrap());
    let described: BTreeSet<_> = pages
        .filter_map(|page| Some(page.file_name().to_str()?.strip_suffix(".md")?.to_owned()))
        .filter(|page| page != "README")
        .collect();
    for code in &described {
        let link = format!("[{code}]({code}.md)");
        assert!(
            index.contains(&link),
            "docs/diagnoses/README.md lacks {link}"
        );
    }
    let sources = sources();
    let magics = sources
        .iter()
        .filter(|source| source.path.starts_with("magics/src/"));
    // Tests make codes up.
    let code = magics.filter_map(|source| source.text.split("#[cfg(test)]").next());
    let made: BTreeSet<_> = code
        .flat_map(str::lines)
        .filter_map(|line| line.trim().strip_prefix("code: \"")?.split('"').next())
        .map(str::to_owned)
        .collect();
    assert!(!made.is_empty(), "no diagnosis was found by its code");
    assert_eq!(
        described, made,
        "docs/diagnoses describes the codes that magics/src makes"
    );
}

#[test]
fn every_block_of_a_page_is_closed() {
    complain(files(&[".md"]), |page| {
        let mut open = None;
        let mut complaints = Vec::new();
        for (line, text) in page.text.lines().enumerate() {
            let Some(language) = text.strip_prefix("```") else {
                continue;
            };
            if open.is_some() && !language.is_empty() {
                complaints.push(format!("line {}: a block opens in another one", line + 1));
            }
            open = if open.is_some() { None } else { Some(line + 1) };
        }
        complaints.extend(open.map(|line| format!("line {line}: the block is never closed")));
        complaints
    });
}

/// The values of `const NAME: &'static str = "...";`, one for each magic's type.
fn names_of_magics(source: &Source) -> Vec<String> {
    let lines = source.text.lines().filter(|line| {
        line.trim_start()
            .starts_with("const NAME: &'static str = \"")
    });
    lines
        .filter_map(|line| line.split('"').nth(1))
        .map(str::to_owned)
        .collect()
}

/// Fails with every complaint at once, each with its file.
fn complain(sources: Vec<Source>, about: impl Fn(&Source) -> Vec<String>) {
    assert!(!sources.is_empty(), "no source was found");
    let complaints: Vec<_> = sources
        .iter()
        .flat_map(|source| {
            about(source)
                .into_iter()
                .map(|complaint| format!("{}: {complaint}", source.path))
        })
        .collect();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

fn lines_with(source: &Source, is_bad: impl Fn(&str) -> bool) -> Vec<String> {
    let numbered = source.text.lines().enumerate();
    numbered
        .filter(|(_, line)| is_bad(line))
        .map(|(number, line)| format!("line {}: {}", number + 1, line.trim()))
        .collect()
}

/// Whether a line of code names something of a crate; comments may.
fn names_crate(line: &str, name: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    code.contains(&format!("{name}::")) || code.contains(&format!("use {name}"))
}

fn rust_outside(allowed: &[&str]) -> Vec<Source> {
    let is_outside = |source: &Source| !allowed.iter().any(|path| source.path.starts_with(path));
    sources()
        .into_iter()
        .filter(|source| source.path.ends_with(".rs"))
        .filter(is_outside)
        .collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap()
}

/// Every Rust and Python file of the repository.
fn sources() -> Vec<Source> {
    files(&[".rs", ".py"])
}

/// The repository's files whose names end so; not what tools put beside them.
fn files(endings: &[&str]) -> Vec<Source> {
    let mut files = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let is_ours = !name.starts_with('.')
                && !["target", "node_modules", "__pycache__", "out"].contains(&name.as_str());
            if path.is_dir() && is_ours {
                folders.push(path);
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                let text = fs::read_to_string(&path).unwrap();
                let path = path
                    .strip_prefix(root())
                    .unwrap()
                    .to_string_lossy()
                    .into_owned();
                files.push(Source { path, text });
            }
        }
    }
    files
}
