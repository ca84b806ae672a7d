//! Assembly that says that it changes no flag.

use super::{complain, sources};

/// What changes the flags, on both processors.
const ARITHMETIC: &[&str] = &[
    "adc",
    "add",
    "adds",
    "and",
    "ands",
    "bics",
    "bsf",
    "bsr",
    "bt",
    "btc",
    "btr",
    "bts",
    "ccmp",
    "cld",
    "cmn",
    "cmp",
    "cmpxchg",
    "cmpxchg16b",
    "dec",
    "div",
    "fcmp",
    "idiv",
    "imul",
    "inc",
    "lzcnt",
    "mul",
    "neg",
    "negs",
    "or",
    "popcnt",
    "popf",
    "popfq",
    "rcl",
    "rcr",
    "rol",
    "ror",
    "sar",
    "sbb",
    "sbcs",
    "shl",
    "shld",
    "shr",
    "shrd",
    "std",
    "sub",
    "subs",
    "test",
    "tst",
    "tzcnt",
    "xadd",
    "xor",
];

#[test]
fn assembly_that_preserves_flags_computes_nothing() {
    let rust = sources()
        .into_iter()
        .filter(|source| source.path.ends_with(".rs"));
    let others = rust.filter(|source| !source.path.starts_with("kernel/tests/"));
    complain(others.collect(), |source| {
        let bad = blocks(&source.text).filter(|block| breaks_its_word(block));
        bad.map(|block| format!("says preserves_flags and computes:{block}"))
            .collect()
    });
}

/// The text of each `asm!`.
fn blocks(text: &str) -> impl Iterator<Item = &str> {
    let blocks = text.split("asm!(").skip(1);
    blocks.filter_map(|block| block.split_once(");").map(|(block, _)| block))
}

fn breaks_its_word(block: &str) -> bool {
    let instructions = block.split(['\n', ';', '"']).map(str::trim);
    let mut names = instructions.filter_map(|line| {
        let line = line.strip_prefix("lock").map_or(line, str::trim_start);
        line.split_whitespace().next()
    });
    block.contains("preserves_flags") && names.any(|name| ARITHMETIC.contains(&name))
}

#[test]
fn assembly_that_computes_is_seen() {
    let text = |line: &str, options: &str| {
        format!("asm!(\n  \"mov rax, 1\",\n  {line},\n  options({options})\n);")
    };
    for (line, options, is_bad) in [
        ("\"add rax, 1\"", "nostack, preserves_flags", true),
        ("\"lock xadd [rax], rbx\"", "preserves_flags", true),
        (
            "\"lea rax, [rax + 1]; sub rbx, 1\"",
            "preserves_flags",
            true,
        ),
        ("\"add rax, 1\"", "nostack", false),
        ("\"syscall\", in(\"rax\") add", "preserves_flags", false),
    ] {
        let text = text(line, options);
        let found = blocks(&text).any(breaks_its_word);
        assert_eq!(found, is_bad, "{text}");
    }
}
