//! A name stands for one type in its crate.

use std::collections::BTreeMap;

use super::sources;

/// The crates in which it does, by the folder of their sources.
const CRATES: &[&str] = &["magics/forks/src/"];

#[test]
fn a_type_that_others_see_has_a_name_of_its_own() {
    let mut doubled = Vec::new();
    for krate in CRATES {
        let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let own = sources()
            .into_iter()
            .filter(|source| source.path.starts_with(krate));
        // The twin of each type of a processor has the same name.
        for source in own.filter(|source| !source.path.contains("/arch/aarch64/")) {
            for name in source.text.lines().filter_map(visible_type) {
                places
                    .entry(name.to_owned())
                    .or_default()
                    .push(source.path.clone());
            }
        }
        doubled.extend(places.into_iter().filter(|(_, paths)| paths.len() > 1));
    }
    assert!(
        doubled.is_empty(),
        "names of more than one type: {doubled:#?}"
    );
}

/// The type that a line defines for the whole crate or for others.
fn visible_type(line: &str) -> Option<&str> {
    let rest = line
        .strip_prefix("pub ")
        .or_else(|| line.strip_prefix("pub(crate) "))?;
    let kinds = ["struct ", "enum ", "union ", "trait ", "type "];
    let name = kinds.iter().find_map(|kind| rest.strip_prefix(kind))?;
    name.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
        .next()
}
