//! A name stands for one type in its crate.

use std::collections::BTreeMap;

use super::{Source, sources};

#[test]
fn names_of_types_stand_for_one_thing() {
    let mut places: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for source in sources() {
        let Some(krate) = crate_of(&source) else {
            continue;
        };
        for name in source.text.lines().filter_map(visible_type) {
            let known = places.entry((krate.to_owned(), name.to_owned()));
            known.or_default().push(source.path.clone());
        }
    }
    let mut crates: Vec<&str> = places.keys().map(|(krate, _)| krate.as_str()).collect();
    crates.dedup();
    println!("{crates:#?}");
    places.retain(|_, paths| paths.len() > 1);
    assert!(
        places.is_empty(),
        "these names stand for several things in one crate: {places:#?}"
    );
}

/// The folder whose `src/` holds a file; tests are crates of their own, and share no names with it.
fn crate_of(source: &Source) -> Option<&str> {
    // The twin of each type of a processor has the same name.
    let counts = source.path.ends_with(".rs") && !source.path.contains("/arch/aarch64/");
    let (krate, _) = source.path.split_once("/src/")?;
    counts.then_some(krate)
}

/// The type that a line defines and that can be seen outside of its file. Types of an implementation are indented.
fn visible_type(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("pub")?;
    let rest = match rest.strip_prefix('(') {
        Some(limited) => limited.split_once(") ")?.1,
        None => rest.strip_prefix(' ')?,
    };
    let rest = rest.strip_prefix("unsafe ").unwrap_or(rest);
    let (kind, rest) = rest.split_once(' ')?;
    let is_type = ["struct", "enum", "trait", "type", "union"].contains(&kind);
    let mut names = rest.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
    names.next().filter(|_| is_type)
}

#[test]
fn types_are_seen() {
    let seen = |line| visible_type(line);
    assert_eq!(seen("pub struct One<'a> {"), Some("One"));
    assert_eq!(seen("pub(in crate::host) enum Two {"), Some("Two"));
    assert_eq!(seen("pub unsafe trait Three {}"), Some("Three"));
    for line in ["struct One;", "    pub type Four = u8;", "pub fn five() {}"] {
        assert_eq!(seen(line), None);
    }
}
