//! Variables that outlive their cell: which a cell keeps, which it names, and whether their types are what they were.
//!
//! A type is text, and means something else when an item that it names has changed: then memory would be taken for what it
//! is not. So a variable remembers all that its type is made from.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use diaphane_rust_protocol::{Compile, Kept as Variable};

use crate::items::{Divided, Kept};

/// What is wrong with a cell, and its line from 0.
pub type Wrong = (u32, String);

/// The variables that a cell keeps, with their types.
pub fn keeps(
    cell: &Compile,
    divided: &Divided,
    items: &[Kept],
    dependencies: &[(String, String)],
) -> Result<Vec<Variable>, Wrong> {
    let kept = cell.keeps.iter().map(|name| {
        let declared = divided.lets.iter().rev().find(|one| one.name == *name);
        let Some(declared) = declared else {
            let words = format!("--keep {name}: the cell has no `let {name}` outside of blocks");
            return Err((0, words));
        };
        let Some(rust) = declared.rust.as_ref().filter(|rust| is_whole(rust)) else {
            let words = format!(
                "--keep {name}: later cells are compiled with its type, so write all of it: `let {name}: Type = ...`"
            );
            return Err((declared.line, words));
        };
        Ok(Variable {
            name: name.clone(),
            rust: rust.clone(),
            made_from: made_from(rust, items, dependencies),
        })
    });
    kept.collect()
}

/// The variables of earlier cells that a cell names.
pub fn used(
    cell: &Compile,
    items: &[Kept],
    dependencies: &[(String, String)],
) -> Result<Vec<Variable>, Wrong> {
    let named = words(&cell.source);
    let is_lent = |name: &String| cell.binds.iter().any(|bind| bind.name == *name);
    let used = cell.kept.iter().filter(|one| {
        named.contains(one.name.as_str()) && !is_lent(&one.name) && !cell.keeps.contains(&one.name)
    });
    let checked = used.map(|one| {
        if made_from(&one.rust, items, dependencies) == one.made_from {
            return Ok(one.clone());
        }
        let line = cell.source.lines().position(|line| words(line).contains(one.name.as_str()));
        let words = format!(
            "`{}` was kept as `{}`, and what that type is made from has changed: run the cell that keeps it again",
            one.name, one.rust
        );
        Err((line.unwrap_or(0) as u32, words))
    });
    checked.collect()
}

/// Whether nothing of a type is left to be inferred.
fn is_whole(rust: &str) -> bool {
    !words(rust).contains("_")
}

fn words(text: &str) -> BTreeSet<&str> {
    let is_of_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    text.split(|letter| !is_of_word(letter))
        .filter(|word| !word.is_empty())
        .collect()
}

/// A number for all that a type is made from: the items that it names, those that they name, and the dependencies if one
/// of them has a part in it, since a new one may change features of the others.
fn made_from(rust: &str, items: &[Kept], dependencies: &[(String, String)]) -> String {
    let mut known: BTreeSet<&str> = words(rust);
    let mut parts: BTreeSet<&str> = BTreeSet::new();
    loop {
        let before = parts.len();
        for item in items {
            if !parts.contains(item.text.as_str()) && has_part(item, &known) {
                parts.insert(&item.text);
                known.extend(words(&item.text));
            }
        }
        if parts.len() == before {
            break;
        }
    }
    let mut hasher = DefaultHasher::new();
    (rust, parts).hash(&mut hasher);
    let names = dependencies.iter().map(|(name, _)| name.replace('-', "_"));
    if known.contains("ndarray") || names.into_iter().any(|name| known.contains(name.as_str())) {
        dependencies.hash(&mut hasher);
    }
    format!("{:016x}", hasher.finish())
}

/// Whether an item may say what one of the names means.
fn has_part(item: &Kept, names: &BTreeSet<&str>) -> bool {
    match item.kind {
        "use" if item.text.contains('*') => true,
        // An associated type may be that of a field.
        "impl" => {
            item.text.contains("type ") && words(&item.name).iter().any(|word| names.contains(word))
        }
        _ => item
            .keys
            .iter()
            .any(|key| names.contains(key.trim_end_matches('!'))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::items::divide;

    #[test]
    fn a_type_is_another_when_what_it_names_is() {
        let items = |text: &str| divide(text, 1, 1).items;
        let base = "struct P { q: Q }\nstruct Q(i64);\nfn f() {}\nstruct R;";
        let of = |text: &str| made_from("Vec<P>", &items(text), &[]);
        assert_eq!(of(base), of(&base.replace("fn f() {}", "fn f() { g() }")));
        assert_eq!(of(base), of(&base.replace("struct R;", "struct R(u8);")));
        assert_ne!(of(base), of(&base.replace("i64", "i32")));
        assert_ne!(of(base), of(&format!("{base}\nstruct Vec;")));
        assert_ne!(of(base), of(&format!("{base}\nuse x::*;")));
        let rand = [("rand".to_owned(), "\"0.9\"".to_owned())];
        assert_eq!(
            made_from("Vec<u8>", &[], &[]),
            made_from("Vec<u8>", &[], &rand)
        );
        assert_ne!(
            made_from("rand::R", &[], &[]),
            made_from("rand::R", &[], &rand)
        );
    }

    #[test]
    fn a_variable_needs_its_whole_type() {
        let cell = |source: &str| Compile {
            source: source.to_owned(),
            keeps: vec!["v".to_owned()],
            ..Compile::default()
        };
        let keeps = |source: &str| {
            let divided = divide(source, 1, 1);
            super::keeps(&cell(source), &divided, &divided.items, &[])
        };
        assert_eq!(
            keeps("let mut v: Vec<u8> = vec![];").unwrap()[0].rust,
            "Vec<u8>"
        );
        assert_eq!(keeps("\nlet v = 1;").unwrap_err().0, 1);
        assert_eq!(keeps("let v: Vec<_> = vec![1];").unwrap_err().0, 0);
        assert!(
            keeps("{ let v: u8 = 1; }")
                .unwrap_err()
                .1
                .contains("no `let v`")
        );
    }
}
