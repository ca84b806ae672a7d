//! What depends on the processor or the system's files stands in one place of each crate.

use std::collections::BTreeSet;

use super::{complain, lines_with, root, rust_outside, sources};

/// Tests may say for which processor they are.
fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("tests.rs")
}

#[test]
fn a_processor_is_chosen_in_arch_only() {
    complain(rust_outside(&["kernel/tests/", "magics/rust/"]), |source| {
        let found = lines_with(source, |line| line.contains("target_arch"));
        let may = source.path.contains("/src/arch/") || is_test(&source.path);
        if may { Vec::new() } else { found }
    });
}

#[test]
fn every_processor_has_the_same_files() {
    let of = |folder: &str| -> BTreeSet<String> {
        let paths = sources().into_iter().map(|source| source.path);
        let names = paths.filter_map(|path| {
            let (krate, name) = path.split_once(&format!("/src/arch/{folder}/"))?;
            // A folder stands for the file of its name.
            let name = name.split('/').next()?.trim_end_matches(".rs").to_owned();
            Some(format!("{krate}/src/arch: {name}"))
        });
        names.collect()
    };
    let (one, other) = (of("x86_64"), of("aarch64"));
    assert!(!one.is_empty(), "no folder of a processor was found");
    assert_eq!(one, other, "x86_64 and aarch64 have the same files");
}

#[test]
fn proc_and_sys_are_read_in_sight_only() {
    let allowed = ["magics/sight/", "magics/rust/", "kernel/tests/"];
    complain(rust_outside(&allowed), |source| {
        // Sentences may name such files; a path begins or ends with its quotes.
        let reads = |line: &str| {
            let code = line.split("//").next().unwrap_or_default();
            let names = ["\"/proc/", "\"/sys/", "c\"/proc"].iter();
            names.clone().any(|name| code.contains(name))
                && ["open", "read", "Path", "copy", "metadata"]
                    .iter()
                    .any(|word| code.contains(word))
                && !code.contains("cannot be")
        };
        let found = lines_with(source, reads);
        if is_test(&source.path)
            || ["columns.rs", "fields.rs"]
                .iter()
                .any(|name| source.path.ends_with(name))
        {
            Vec::new()
        } else {
            found
        }
    });
    assert!(root().join("magics/sight/src/proc").is_dir());
}
