//! Assembly that says that it changes no flag.

use super::{complain, sources};

/// What changes the flags, of the instructions that are written here.
const ARITHMETIC: &[&str] = &[
    "add ", "sub ", "and ", "or ", "xor ", "inc ", "dec ", "neg ", "cmp ", "test ", "shl ", "shr ",
    "sar ", "imul ", "mul ", "adds ", "subs ", "ands ", "cmn ",
];

#[test]
fn assembly_that_preserves_flags_computes_nothing() {
    let rust = sources()
        .into_iter()
        .filter(|source| source.path.ends_with(".rs"));
    let others = rust.filter(|source| !source.path.starts_with("kernel/tests/"));
    complain(others.collect(), |source| {
        let blocks = source.text.split("asm!(").skip(1);
        let blocks = blocks.filter_map(|block| block.split_once(");").map(|(block, _)| block));
        let bad = blocks.filter(|block| {
            let mut lines = block
                .lines()
                .map(|line| line.trim().trim_start_matches('"'));
            block.contains("preserves_flags")
                && lines.any(|line| ARITHMETIC.iter().any(|word| line.starts_with(word)))
        });
        bad.map(|block| format!("says preserves_flags and computes:{block}"))
            .collect()
    });
}
