//! How deeply a cell is nested. Parsers call themselves for each level, that of evcxr and rustc's too, and one whose stack
//! ends takes the process and the items of all earlier cells with it.

use ra_ap_parser::LexedStr;
use ra_ap_syntax::{Edition, SyntaxKind, T};

/// As many levels as all of them bear; one takes 2 KiB of a parser's stack at the most, and their own thread for what
/// they throw away has 2 MiB.
pub const DEEPEST: usize = 4000;
/// The stack of whoever parses.
pub const STACK: usize = 32 << 20;

/// Whether a text may be nested more deeply. It is not parsed for that.
pub fn is_too_deep(source: &str) -> bool {
    let lexed = LexedStr::new(Edition::Edition2024, source);
    let mut tokens = (0..lexed.len())
        .map(|at| lexed.kind(at))
        .filter(|kind| !kind.is_trivia())
        .peekable();
    // For each open bracket, the tokens in front of it that may be levels of their own, as in `!!(`.
    let mut outside = Vec::new();
    let (mut before, mut inside) = (0, 0);
    while let Some(token) = tokens.next() {
        inside += 1;
        match token {
            T!['('] | T!['['] | T!['{'] => {
                outside.push(inside);
                before += inside;
                inside = 0;
            }
            T![')'] | T![']'] | T!['}'] => {
                inside = outside.pop().unwrap_or_default();
                before -= inside;
                if token == T!['}'] && tokens.peek().is_none_or(|next| begins(*next)) {
                    inside = 0;
                }
            }
            T![,] | T![;] => inside = 0,
            _ => {}
        }
        if before + inside > DEEPEST {
            return true;
        }
    }
    false
}

/// Whether something new begins behind a block.
fn begins(next: SyntaxKind) -> bool {
    let goes_on = matches!(next, T![else] | T![as]);
    next == T![#]
        || next == SyntaxKind::IDENT
        || (next.is_keyword(Edition::Edition2024) && !goes_on)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::items::divide;

    /// What opens a level.
    const OPEN: [&str; 14] = [
        "(",
        "[",
        "{",
        "!",
        "&",
        "|| ",
        "return ",
        "match a { _ => ",
        "a = ",
        "if a {} else ",
        "mod a {",
        "a::<",
        "..",
        "let (",
    ];

    fn deep(open: &str, levels: usize) -> String {
        format!("fn f() {{}}\n{}", open.repeat(levels))
    }

    #[test]
    fn what_is_not_too_deep_can_be_parsed() {
        let work = || {
            for open in OPEN {
                let levels = (1..).find(|levels| is_too_deep(&deep(open, 100 * levels)));
                divide(&deep(open, 100 * (levels.unwrap() - 1)), 1, 1);
            }
        };
        let thread = std::thread::Builder::new().stack_size(STACK).spawn(work);
        thread.unwrap().join().unwrap();
    }

    #[test]
    fn a_long_cell_is_not_deep() {
        for line in [
            "fn f(x: &[f64]) -> f64 { x.iter().map(|x| -x).sum() }\n",
            "if a { b() } else { c() }\n",
            "let a = [[1, 2], [3, 4]];\n",
            "#[derive(Debug)] struct A { x: f64, y: f64 }\n",
            "x.call();\n// (((((((((\nlet s = \"((((((((((\";\n",
        ] {
            assert!(!is_too_deep(&line.repeat(20_000)), "{line}");
        }
        assert!(!is_too_deep(&format!("[{}]", "-1.5, ".repeat(300_000))));
    }
}
