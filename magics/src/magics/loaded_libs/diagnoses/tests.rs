//! The decisions that no Python of the tests can bring about.

use std::collections::HashMap;

use super::*;
use crate::libraries::inventory;
use diaphane_cpython::extensions::Declared;

#[test]
fn a_module_that_needs_the_gil_is_named_only_where_it_came_back() {
    let mut items = inventory::all(&HashMap::new()).unwrap();
    items[1].declared = Some(Declared {
        module: "spam".into(),
        gil: Some("undeclared"),
        interpreters: Some("none"),
    });
    items[2].declared = Some(Declared {
        module: "ham".into(),
        gil: Some("not used"),
        interpreters: Some("own gil"),
    });
    let listed: Vec<&LibraryEntry> = items.iter().collect();
    let back = Interpreter {
        has_reenabled_gil: true,
        ..Interpreter::default()
    };
    let found = reenabled(&listed, &back).unwrap();
    assert_eq!(found.evidence.len(), 1);
    assert!(found.evidence[0].starts_with("spam ("));
    assert!(reenabled(&listed, &Interpreter::default()).is_none());
    assert!(reenabled(&listed[2..], &back).is_none());
}
