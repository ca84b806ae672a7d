//! What depends on the processor or the system's files stands in one place of each crate.

use std::collections::BTreeSet;

use super::{Source, complain, lines_with, root, rust_outside, sources};

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

/// Whether a line of code knows what only one processor has: registers, a decoder, assembly. Comments may.
fn names_a_processor(line: &str) -> bool {
    const NAMES: &[&str] = &[
        "iced_x86", "gregs", "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "rip", "eax",
        "ebx", "ecx", "edx", "esi", "edi", "ebp", "esp", "eip", "r8", "r9", "r10", "r11", "r12",
        "r13", "r14", "r15", "endbr64", "endbr",
    ];
    // `naked_asm!` takes what a macro of `arch/` makes.
    let assembles = |code: &str| {
        ["asm!(", "arch::x86_64", "arch::aarch64"]
            .iter()
            .any(|name| code.replace("naked_asm!(", "").contains(name))
    };
    let named =
        |word: &str| NAMES.contains(&word.trim_start_matches("REG_").to_lowercase().as_str());
    let code = line.split("//").next().unwrap_or_default();
    words(code).any(named) || assembles(code)
}

/// Whether a line of code has a byte in hexadecimal, as those of instructions are written.
fn has_a_byte(line: &str) -> bool {
    let is_byte = |word: &str| {
        let digits = word
            .strip_prefix("0x")
            .map(|digits| digits.trim_end_matches("u8"));
        digits.is_some_and(|digits| digits.trim_matches('_').len() == 2)
    };
    words(line.split("//").next().unwrap_or_default()).any(is_byte)
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
}

#[test]
fn instructions_are_known_in_arch_only() {
    let of_the_sources = |source: &Source| {
        source.path.contains("/src/")
            && !source.path.contains("/src/arch/")
            && !is_test(&source.path)
    };
    // The compiler of Rust cells is a program of its own, and what it is told about processors is text.
    let mut known = rust_outside(&["benches/", "kernel/tests/", "magics/rust/"]);
    known.retain(of_the_sources);
    complain(known, |source| {
        let writes_code = source.path.starts_with("magics/trace/src/");
        lines_with(source, |line| {
            names_a_processor(line) || writes_code && has_a_byte(line)
        })
    });
}

#[test]
fn instructions_are_seen() {
    for line in [
        "let code = context.uc_mcontext.gregs[0];",
        "let code = registers[libc::REG_RIP as usize];",
        "use iced_x86::Decoder;",
        "saved.rdi",
        "let nothing = std::arch::asm!(\"nop\");",
        "global_asm!(\"nop\");",
    ] {
        assert!(names_a_processor(line), "{line}");
    }
    for line in [
        "std::arch::naked_asm!(entry::pass_on_caller!())",
        "// push rdi: the stack is aligned then",
        "let ripe = esprit;",
    ] {
        assert!(!names_a_processor(line), "{line}");
    }
    for line in ["code.push(0xe9);", "[0xff, 0x25]", "0xCC_u8 => {}"] {
        assert!(has_a_byte(line), "{line}");
    }
    for line in ["const KERNEL: u64 = 0xffff_8000;", "1 << 20", "0x7 // 0xcc"] {
        assert!(!has_a_byte(line), "{line}");
    }
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
