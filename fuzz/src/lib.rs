//! Whatever comes from outside and is read by code of ours, as functions of bytes: each must return, and must not panic.
//!
//! `cargo fuzz run NAME` looks for input that breaks one of them. The tests here give each the stored corpus and some
//! thousand inputs made from it, always the same ones; `DIAPHANE_FUZZ=1000` makes it so many times as many.

mod cells;
mod images;
#[path = "../../magics/rust/sidecar/src/items.rs"]
#[allow(dead_code, reason = "the compiler of Rust cells uses the rest")]
mod items;
mod mutations;
#[path = "../../magics/rust/sidecar/src/nesting.rs"]
#[allow(dead_code, reason = "as above")]
mod nesting;
mod texts;
#[path = "../../magics/rust/sidecar/src/uses.rs"]
mod uses;

pub use cells::rust_cell;
pub use images::{call_frames, debug_lines, elf, prologue};
pub use texts::{connection_file, magic_line, maps, messages, stored_report};

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::mutations::Mutations;

    /// So many inputs are made for a target.
    const SHORT: usize = 2000;

    fn torture(name: &str, target: fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("corpus")
            .join(name);
        let files =
            std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
        let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        paths.sort();
        let corpus: Vec<Vec<u8>> = paths
            .iter()
            .map(|path| std::fs::read(path).unwrap())
            .collect();
        assert!(!corpus.is_empty(), "{folder:?} is empty");
        corpus.iter().for_each(|input| target(input));
        let times = std::env::var("DIAPHANE_FUZZ").map_or(1, |times| times.parse().unwrap());
        let mutations = Mutations::of(&corpus).take(SHORT * times);
        for (number, input) in mutations.enumerate() {
            let outcome = std::panic::catch_unwind(|| target(&input));
            if outcome.is_err() {
                let file = std::env::temp_dir().join(format!("diaphane-{name}-{number}"));
                std::fs::write(&file, &input).unwrap();
                panic!("{name}: input {number} is in {}", file.display());
            }
        }
    }

    macro_rules! targets {
        ($($name:ident)*) => {
            $(#[test] fn $name() { torture(stringify!($name), super::$name); })*
        };
    }

    targets! { messages connection_file magic_line maps elf call_frames debug_lines prologue rust_cell stored_report }
}
