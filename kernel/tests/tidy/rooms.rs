//! The rooms of a crate, which are the entries of its `src/`: who uses whom, and that all of it goes downwards.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use super::{root, sources};

/// The folder of each crate with rooms.
const CRATES: &[&str] = &[
    "kernel/src",
    "magics/cpython/src",
    "magics/report/src",
    "magics/src",
    "magics/sight/src",
    "magics/trace/src",
];

/// Which room uses which, each with the files that do.
type Arrows = BTreeMap<(String, String), BTreeSet<String>>;

#[test]
fn rooms_use_only_rooms_below_them() {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let mut complaints = Vec::new();
    for krate in CRATES {
        let arrows = arrows(krate);
        println!("{krate}:");
        for ((from, to), files) in &arrows {
            println!("  {from} -> {to} ({} files)", files.len());
        }
        let Some(order) = order(&page, krate) else {
            complaints.push(format!("ARCHITECTURE.md has no line `Rooms of {krate}:`"));
            continue;
        };
        let place = |room: &str| {
            order
                .iter()
                .position(|level| level.iter().any(|one| one == room))
        };
        for ((from, to), files) in &arrows {
            match (place(from), place(to)) {
                (Some(above), Some(below)) if above < below => {}
                (Some(_), Some(_)) => {
                    complaints.push(format!("{krate}: {from} uses {to}: {files:?}"))
                }
                (None, _) => complaints.push(format!("{krate}: {from} has no place in the order")),
                (_, None) => complaints.push(format!("{krate}: {to} has no place in the order")),
            }
        }
    }
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

/// The rooms of a crate from the top to the bottom: ``Rooms of `kernel/src`, from the top: `main` > `io`, `ask` > ...``.
fn order(page: &str, krate: &str) -> Option<Vec<Vec<String>>> {
    let line = page
        .lines()
        .find_map(|line| line.strip_prefix(&format!("Rooms of `{krate}`, from the top: ")))?;
    let names = |level: &str| {
        let names = level
            .split(',')
            .map(|name| name.trim().trim_matches(['`', '.']).to_owned());
        names.collect()
    };
    Some(line.split('>').map(names).collect())
}

fn arrows(krate: &str) -> Arrows {
    let mut arrows = Arrows::new();
    let inside = format!("{krate}/");
    for source in sources() {
        let Some(path) = source
            .path
            .strip_prefix(&inside)
            .filter(|path| path.ends_with(".rs"))
        else {
            continue;
        };
        let from = room_of(path);
        let code: String = source
            .text
            .lines()
            .map(|line| line.split("//").next().unwrap_or_default())
            .collect::<Vec<_>>()
            .join("\n");
        for to in used(&code) {
            if to != from && is_room(krate, &to) {
                let files = arrows.entry((from.clone(), to)).or_default();
                files.insert(path.to_owned());
            }
        }
    }
    arrows
}

fn room_of(path: &str) -> String {
    let mut parts: Vec<&str> = path.split('/').collect();
    // Such a file belongs to the room of its name, which mounts it.
    if parts[0] == "arch" && !parts[parts.len() - 1].eq("mod.rs") {
        let owner = parts
            .iter()
            .find(|part| !["arch", "x86_64", "aarch64"].contains(part));
        let owner = owner.map_or("arch", |owner| owner.trim_end_matches(".rs"));
        if MOUNTED.contains(&owner) {
            return owner.to_owned();
        }
    }
    parts.truncate(1);
    parts[0].trim_end_matches(".rs").to_owned()
}

/// The files under `arch/` that a room mounts by `#[path]`.
const MOUNTED: &[&str] = &["pthread_create", "recorder", "syscalls", "guard"];

fn is_room(krate: &str, name: &str) -> bool {
    let folder = root().join(krate);
    folder.join(name).is_dir() || folder.join(format!("{name}.rs")).is_file()
}

/// The names behind `crate::`, also those of a list in braces.
fn used(code: &str) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    let mut rest = code;
    while let Some(at) = rest.find("crate::") {
        let before = rest[..at].chars().next_back();
        rest = &rest[at + "crate::".len()..];
        if before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_') {
            continue;
        }
        let names = match rest.strip_prefix('{') {
            Some(list) => outermost(list),
            None => vec![rest],
        };
        let name = |text: &str| -> String {
            text.trim()
                .chars()
                .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
                .collect()
        };
        used.extend(names.into_iter().map(name).filter(|name| !name.is_empty()));
    }
    used
}

/// The entries of a list up to its closing brace.
fn outermost(list: &str) -> Vec<&str> {
    let (mut depth, mut start, mut entries) = (0, 0, Vec::new());
    for (at, letter) in list.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => {
                entries.push(&list[start..at]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                entries.push(&list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    entries
}

#[test]
fn lists_of_rooms_are_read() {
    let code = "use crate::{one::{A, B}, two as three}; use super::x; pub(crate) fn f() { crate::four::g() }";
    let expected = ["four", "one", "two"].map(str::to_owned);
    assert_eq!(used(code), BTreeSet::from(expected));
    let page = "Rooms of `a/src`, from the top: `x`, `y` > `z`.";
    let order = order(page, "a/src").unwrap();
    assert_eq!(order, [vec!["x".to_owned(), "y".into()], vec!["z".into()]]);
}
