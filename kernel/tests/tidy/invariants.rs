//! What ARCHITECTURE.md calls an invariant is checked by a test, and the page says by which.

use std::collections::BTreeSet;
use std::fs;

use super::{Source, root, sources};

/// How such a sentence begins.
const MARK: &str = "**Architecture Invariant:**";
/// What stands in front of the names of its tests.
const CHECK: &str = "(checked by ";

#[test]
fn every_invariant_names_a_check_that_exists() {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let tests = names_of_tests();
    let invariants: Vec<&str> = page.lines().filter(|line| line.contains(MARK)).collect();
    assert!(!invariants.is_empty(), "no invariant was found");
    let complaints: Vec<String> = invariants
        .into_iter()
        .filter_map(|line| Some(format!("{}\n    {line}", wrong(line, &tests)?)))
        .collect();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

/// What is wrong with an invariant, if anything is.
fn wrong(line: &str, tests: &BTreeSet<String>) -> Option<String> {
    let Some((_, checks)) = line.split_once(CHECK) else {
        return Some(format!("names no test: {CHECK}`tidy::name`)"));
    };
    let checks = checks.split(')').next().unwrap_or_default();
    let mut names = checks.split('`').skip(1).step_by(2).peekable();
    if names.peek().is_none() {
        return Some("names no test in backticks".to_owned());
    }
    let missing = names.find(|name| !tests.contains(name.rsplit("::").next().unwrap_or(name)));
    missing.map(|name| format!("there is no test {name}"))
}

/// The tests of the repository, in both languages.
fn names_of_tests() -> BTreeSet<String> {
    let sources = sources();
    sources.iter().flat_map(tests_of).collect()
}

fn tests_of(source: &Source) -> Vec<String> {
    let mut lines = source.text.lines().map(str::trim);
    let mut names = Vec::new();
    if source.path.ends_with(".py") {
        let functions = lines.filter_map(|line| line.strip_prefix("def "));
        names.extend(functions.filter(|name| name.starts_with("test_")).map(name));
        return names;
    }
    while let Some(line) = lines.next() {
        if line == "#[test]" {
            let function = lines.find_map(|line| line.strip_prefix("fn "));
            names.extend(function.map(name));
        }
    }
    names
}

/// The name in front of a list of parameters.
fn name(function: &str) -> String {
    function.split('(').next().unwrap_or_default().to_owned()
}

#[test]
fn an_invariant_without_its_test_is_seen() {
    let tests = BTreeSet::from(["there".to_owned()]);
    let complaint = |line: &str| wrong(line, &tests);
    assert_eq!(complaint("it holds (checked by `tidy::there`)."), None);
    assert!(complaint("it holds.").unwrap().contains("names no test"));
    let both = complaint("it holds (checked by `there` and `gone`).").unwrap();
    assert_eq!(both, "there is no test gone");
}
