//! `%disasm` against objdump.

mod common;

#[test]
fn disasm() {
    common::run(
        "disasm.py",
        include_str!("python/disasm.py"),
        common::Packages::OfPython,
    );
}
